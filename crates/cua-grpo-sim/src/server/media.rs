//! The album endpoints: folders of pictures and films.

use super::{form::Form, reply::ApiError, state::Shared};
use crate::{
    device::{Device, Media, MediaKind, PHOTO_ENDINGS, VIDEO_ENDINGS, file_name, is_plain, media_kind, mime},
    time::iso_ms,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, ApiError>;

fn no_album(album: &str) -> ApiError {
    ApiError::not_found(format!("album {album:?}: not found"))
}

fn album(device: &Device, name: &str) -> Result<Value, ApiError> {
    let (path, entry) = device.album(name).ok_or_else(|| no_album(name))?;
    let count = device.media(name).map_or(0, |media| media.len());
    Ok(json!({ "name": name, "path": path, "mediaCount": count, "lastModified": iso_ms(entry.changed) }))
}

fn shown(media: &Media<'_>) -> Value {
    json!({
        "type": if media.kind == MediaKind::Photo { "photo" } else { "video" },
        "name": file_name(media.path), "path": media.path, "mimeType": mime(media.path),
        "size": format!("{}B", media.entry.length()), "lastModified": iso_ms(media.entry.changed),
    })
}

fn find<'a>(device: &'a Device, album: &str, name: &str) -> Result<Media<'a>, ApiError> {
    let media = device.media(album).ok_or_else(|| no_album(album))?;
    let found = media.into_iter().find(|media| file_name(media.path) == name);
    found.ok_or_else(|| ApiError::not_found(format!("media {name:?} of {album:?}: not found")))
}

/// The files of a form, all of which must be pictures or films.
fn media_of(form: &Form) -> Result<Vec<(String, Bytes)>, ApiError> {
    let files = form.files("media");
    if files.is_empty() && form.has("media") {
        return Err(ApiError::bad("media: expected files, got text"));
    }
    let mut media = Vec::new();
    for (path, bytes) in files {
        let name = file_name(path);
        if !is_plain(name) || media_kind(name).is_none() {
            return Err(ApiError::bad(format!(
                "media: expected files ending with {} or {}, got {name:?}",
                PHOTO_ENDINGS.join(", "),
                VIDEO_ENDINGS.join(", ")
            )));
        }
        media.push((name.to_owned(), bytes));
    }
    Ok(media)
}

pub(super) async fn support() -> Json<Value> {
    Json(json!({ "photo": PHOTO_ENDINGS, "video": VIDEO_ENDINGS }))
}

pub(super) async fn albums(State(state): State<Shared>, Path(id): Path<String>) -> Answer {
    state.with_running(&id, |device, _| {
        let albums = device
            .albums()
            .into_iter()
            .map(|(path, _)| album(device, file_name(path)));
        let data: Vec<Value> = albums.collect::<Result<_, _>>()?;
        Ok(Json(json!({ "data": data })))
    })
}

pub(super) async fn create_album(
    State(state): State<Shared>,
    Path(id): Path<String>,
    form: Form,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let name = form.required("name")?;
    if !is_plain(name) {
        return Err(ApiError::bad(format!(
            "name: expected the name of a folder, got {name:?}"
        )));
    }
    let media = media_of(&form)?;
    state.with_running(&id, |device, _| {
        device.create_album(name)?;
        for (file, bytes) in media {
            device.add_media(name, &file, bytes)?;
        }
        Ok((StatusCode::CREATED, Json(album(device, name)?)))
    })
}

pub(super) async fn get_album(State(state): State<Shared>, Path((id, name)): Path<(String, String)>) -> Answer {
    state.with_running(&id, |device, _| album(device, &name).map(Json))
}

/// Adds pictures and films.
pub(super) async fn update_album(
    State(state): State<Shared>,
    Path((id, name)): Path<(String, String)>,
    form: Form,
) -> Answer {
    let media = media_of(&form)?;
    if media.is_empty() {
        return Err(ApiError::bad("media: expected files, got none"));
    }
    state.with_running(&id, |device, _| {
        album(device, &name)?;
        for (file, bytes) in media {
            device.add_media(&name, &file, bytes)?;
        }
        album(device, &name).map(Json)
    })
}

pub(super) async fn delete_album(
    State(state): State<Shared>,
    Path((id, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        let folder = device.album(&name).map(|(path, _)| path.to_owned());
        device.files_mut().remove(&folder.ok_or_else(|| no_album(&name))?)?;
        Ok(StatusCode::OK)
    })
}

pub(super) async fn list(State(state): State<Shared>, Path((id, name)): Path<(String, String)>) -> Answer {
    state.with_running(&id, |device, _| {
        let media = device.media(&name).ok_or_else(|| no_album(&name))?;
        let data: Vec<Value> = media.iter().map(shown).collect();
        Ok(Json(json!({ "data": data })))
    })
}

type Item = Path<(String, String, String)>;

pub(super) async fn get(State(state): State<Shared>, Path((id, album, name)): Item) -> Answer {
    state.with_running(&id, |device, _| Ok(Json(shown(&find(device, &album, &name)?))))
}

pub(super) async fn delete(State(state): State<Shared>, Path((id, album, name)): Item) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        let path = find(device, &album, &name)?.path.to_owned();
        device.files_mut().remove(&path)?;
        Ok(StatusCode::OK)
    })
}

pub(super) async fn download(State(state): State<Shared>, Path((id, album, name)): Item) -> Result<Response, ApiError> {
    state.with_running(&id, |device, _| {
        let path = find(device, &album, &name)?.path.to_owned();
        let bytes = device.read_file(&path)?;
        Ok(([(header::CONTENT_TYPE, mime(&path))], bytes).into_response())
    })
}
