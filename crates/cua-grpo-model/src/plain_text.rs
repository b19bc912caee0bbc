//! Text files as editors save them: UTF-8, with or without a byte order mark, or UTF-16 where the mark says so. Files of
//! others are read up to a limit, and what is no file (a folder, a pipe, a device) is not read at all.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// Most bytes of a text file: several times the largest `tokenizer.json` of a released model.
pub const MOST_TEXT: u64 = 64 << 20;

/// The text in `bytes`, without a byte order mark.
///
/// # Errors
/// A message that says which encoding was expected.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.len().is_multiple_of(2));
        text.ok_or_else(|| "the byte order mark says UTF-16, but the bytes are not; save the file as UTF-8".to_owned())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

/// Reads a text file of at most [`MOST_TEXT`] bytes, without its byte order mark.
///
/// # Errors
/// As [`bytes`]; bytes that are no text are [`ErrorKind::InvalidData`].
pub fn read(path: &Path) -> std::io::Result<String> {
    let bytes = bytes(path, MOST_TEXT)?;
    if bytes.starts_with(LFS) {
        return Err(Error::new(ErrorKind::InvalidData, LFS_ADVICE));
    }
    decode(&bytes).map_err(|message| Error::new(ErrorKind::InvalidData, message))
}

/// What a file begins with that stands for one in Git LFS.
pub(crate) const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What to do where a file begins with [`LFS`].
pub(crate) const LFS_ADVICE: &str =
    "this is a pointer of Git LFS and not the file itself: fetch it with `git lfs pull`";

/// Whether something stands at `path`, be it a link that leads nowhere: whoever took that for no file would go on without
/// what it says.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Opens a file, also behind a link.
///
/// # Errors
/// Those of opening; what is no file (a folder, a pipe, a socket, a device) is [`ErrorKind::InvalidInput`] and is not
/// opened, because opening a pipe may wait for ever.
pub fn open(path: &Path) -> std::io::Result<File> {
    let found = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound if is_there(path) => Error::new(
            ErrorKind::NotFound,
            "it is a link to nothing; fetch the file again, or remove the link",
        ),
        _ => error,
    });
    regular(&found?)?;
    let mut options = OpenOptions::new();
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.read(true).open(path)?;
    // It may be exchanged after the look.
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(found: &Metadata) -> std::io::Result<()> {
    let found = match found.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        _ => "a pipe, a socket or a device",
    };
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("expected a file, found {found}; save it as a file"),
    ))
}

/// The bytes of a file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and those of reading; a larger file is [`ErrorKind::FileTooLarge`] and is not read.
pub fn bytes(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = |found: u64| {
        Error::new(
            ErrorKind::FileTooLarge,
            format!("expected at most {most} bytes, found {found} or more; is it the right file?"),
        )
    };
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(length));
    }
    if length == 0 {
        // What the kernel makes up (`/proc/kmsg`) says so, too, and may have no end.
        return Ok(Vec::new());
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // It may grow while it is read.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|error| format!("expected UTF-8 text ({error}); save the file as UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{bytes, decode, is_there, read};
    use std::io::ErrorKind;
    use std::path::Path;

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_not_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let error = read(&link).unwrap_err().to_string();
        assert!(is_there(&link) && error.contains("a link to nothing"), "{error}");
        assert!(!is_there(&dir.path().join("nowhere")));
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn a_pipe_that_takes_the_place_of_a_file_is_not_waited_for() {
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::time::{Duration, Instant};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "12345").unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(made.unwrap().success());
        let over = AtomicBool::new(false);
        let (sent, done) = std::sync::mpsc::channel();
        let path = at("a");
        std::thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(1) {
                let _ = bytes(&path, 100).map(|found| assert_eq!(found, b"12345"));
            }
            sent.send(()).unwrap();
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = 0;
                while !over.load(Ordering::Relaxed) {
                    turn += 1;
                    let _ = std::fs::remove_file(at("next"));
                    std::fs::hard_link(at(["file", "pipe"][turn % 2]), at("next")).unwrap();
                    std::fs::rename(at("next"), at("a")).unwrap();
                }
            });
            let ended = done.recv_timeout(Duration::from_secs(20));
            over.store(true, Ordering::Relaxed);
            assert!(ended.is_ok(), "reading waits for a pipe");
        });
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(bytes(&file, 5).unwrap(), b"12345");
        let error = bytes(&file, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(
            error.to_string().contains("expected at most 4 bytes, found 5"),
            "{error}"
        );
        // A hole of a terabyte takes neither time nor memory.
        let hole = dir.path().join("hole");
        std::fs::File::create(&hole).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&hole).unwrap_err().kind(), ErrorKind::FileTooLarge);
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("found a folder"), "{error}");
        if cfg!(unix) {
            // A file of the kernel's that says it has no bytes: reading all of it takes hours.
            let endless = Path::new("/proc/self/pagemap");
            assert!(!endless.exists() || bytes(endless, u64::MAX - 1).unwrap().is_empty());
            for device in ["/dev/zero", "/dev/null"] {
                let error = read(Path::new(device)).unwrap_err().to_string();
                assert!(error.contains("a pipe, a socket or a device"), "{error}");
            }
            // Opening a pipe without a writer waits for ever.
            let pipe = dir.path().join("pipe");
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(&pipe)
                    .status()
                    .unwrap()
                    .success()
            );
            assert_eq!(read(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn byte_order_marks_are_passed_over() {
        for bytes in [
            &b"{\"a\": \"\xC3\xA9\"}"[..],
            b"\xEF\xBB\xBF{\"a\": \"\xC3\xA9\"}",
            b"\xFF\xFE{\0\"\0a\0\"\0:\0 \0\"\0\xE9\0\"\0}\0",
            b"\xFE\xFF\0{\0\"\0a\0\"\0:\0 \0\"\0\xE9\0\"\0}",
        ] {
            assert_eq!(decode(bytes).unwrap(), "{\"a\": \"é\"}");
        }
        assert_eq!(
            decode(b"x\xEF\xBB\xBF").unwrap(),
            "x\u{FEFF}",
            "inside a text it is a character"
        );
        assert!(decode(b"\xFF\xFEa").unwrap_err().contains("UTF-16"));
        assert!(decode(b"\xE9").unwrap_err().contains("UTF-8"));
    }
}
