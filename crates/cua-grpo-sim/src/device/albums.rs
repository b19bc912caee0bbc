//! Albums: the folders of pictures and films in the shared storage.

use super::{Device, File, FileError, file_name as name};

/// Where albums are; new ones go into the first.
const PLACES: [&str; 3] = ["/sdcard/DCIM", "/sdcard/Pictures", "/sdcard/Movies"];
/// Endings of pictures.
pub(crate) const PHOTO_ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "gif", "webp", "bmp", "heic", "heif"];
/// Endings of films.
pub(crate) const VIDEO_ENDINGS: [&str; 6] = ["mp4", "mkv", "webm", "3gp", "mov", "avi"];

/// What sort of media a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Photo,
    Video,
}

/// A picture or film of an album.
#[derive(Debug)]
pub(crate) struct Media<'a> {
    pub path: &'a str,
    pub entry: &'a File,
    pub kind: MediaKind,
}

fn ending(file: &str) -> String {
    file.rsplit_once('.')
        .map_or_else(String::new, |(_, ending)| ending.to_lowercase())
}

/// What a file is by its ending.
pub(crate) fn kind(file: &str) -> Option<MediaKind> {
    let ending = ending(file);
    if PHOTO_ENDINGS.contains(&ending.as_str()) {
        Some(MediaKind::Photo)
    } else {
        VIDEO_ENDINGS.contains(&ending.as_str()).then_some(MediaKind::Video)
    }
}

/// The content type of a file by its ending.
pub(crate) fn mime(file: &str) -> &'static str {
    match ending(file).as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "mp4" => "video/mp4",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "3gp" => "video/3gpp",
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        _ => "application/octet-stream",
    }
}

/// Whether a text can name an album or a file of one.
pub(crate) fn is_plain(text: &str) -> bool {
    let plain = |letter: char| letter != '/' && !letter.is_control();
    !text.is_empty() && text.len() <= 200 && !text.starts_with('.') && text.chars().all(plain)
}

impl Device {
    /// All albums: folders below the places of albums, by name of the place and then of the album.
    pub fn albums(&self) -> Vec<(&str, &File)> {
        let lists = PLACES.iter().filter_map(|place| self.files().list(place, 1).ok());
        let folders = lists
            .flatten()
            .filter(|(path, entry)| entry.is_folder() && !name(path).starts_with('.'));
        folders.collect()
    }

    /// The folder of an album.
    pub fn album(&self, album: &str) -> Option<(&str, &File)> {
        self.albums().into_iter().find(|(path, _)| name(path) == album)
    }

    /// The pictures and films of an album, by name; `None` when there is no such album.
    pub fn media(&self, album: &str) -> Option<Vec<Media<'_>>> {
        let (folder, _) = self.album(album)?;
        let list = self.files().list(folder, 1).ok()?;
        let media = list.into_iter().filter(|(_, entry)| !entry.is_folder());
        Some(
            media
                .filter_map(|(path, entry)| {
                    let kind = kind(path)?;
                    Some(Media { path, entry, kind })
                })
                .collect(),
        )
    }

    /// Makes an album.
    ///
    /// # Errors
    /// When there is one of the name.
    pub fn create_album(&mut self, album: &str) -> Result<(), FileError> {
        if let Some((path, _)) = self.album(album) {
            return Err(FileError::Exists(path.to_owned()));
        }
        self.files_mut().make_folder(&format!("{}/{album}", PLACES[0]), true)
    }

    /// Puts a picture or film into an album; the name gets a number when it is taken.
    ///
    /// # Errors
    /// When there is no such album, or no room.
    pub fn add_media(&mut self, album: &str, file: &str, bytes: axum::body::Bytes) -> Result<(), FileError> {
        let missing = || FileError::Missing(album.to_owned());
        let folder = self.album(album).map(|(path, _)| path.to_owned()).ok_or_else(missing)?;
        let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
        let numbered = (1..).map(|number| format!("{folder}/{stem} ({number}).{ending}"));
        let mut paths = std::iter::once(format!("{folder}/{file}")).chain(numbered);
        let free = paths.find(|path| self.files().get(path).is_none());
        free.map_or(Err(FileError::Full), |path| self.files_mut().write(&path, bytes))
    }
}
