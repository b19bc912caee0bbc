//! The paths of the API, and what happens to every request: counting, key, delay, failures on purpose.

use super::{
    actions, adb, boxes, browser, commands,
    config::Limits,
    devices, files, gestures, insight, keys, links, media, mishap, model, network, packages, recording,
    reply::ApiError,
    serve::{self, NoBody},
    snapshots, socket,
    state::{Shared, SimState},
    storage, touch,
};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, post, put},
};
use std::sync::atomic::Ordering;

/// All paths of the API, from its root; whatever stands before them is taken away when a request comes.
pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .merge(whole_boxes())
        .nest("/boxes/{id}/actions", in_action())
        .nest("/boxes/{id}/fs", files_of_a_box())
        .nest("/boxes/{id}/android", apps_of_a_box())
        .nest("/boxes/{id}/browser", browser_of_a_box())
        .nest("/boxes/{id}/media", albums_of_a_box())
        .merge(beside_boxes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), gate))
        // The gate has bounded bodies.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

fn whole_boxes() -> Router<Shared> {
    let proxy = get(network::get).post(network::set).delete(network::clear);
    Router::new()
        .route("/boxes", get(boxes::list))
        .route("/boxes/android", post(boxes::create_android))
        .route("/boxes/linux", post(boxes::create_linux))
        .route("/boxes/{id}", get(boxes::get).delete(boxes::terminate))
        .route("/boxes/{id}/terminate", post(boxes::terminate))
        .route("/boxes/{id}/start", post(boxes::keep_running))
        .route("/boxes/{id}/stop", post(boxes::keep_running))
        .route("/boxes/{id}/display", get(boxes::display))
        .route("/boxes/{id}/resolution", post(boxes::set_resolution))
        .route("/boxes/{id}/commands", post(commands::commands))
        .route("/boxes/{id}/run-code", post(commands::run_code))
        .route("/boxes/{id}/websocket-url", get(socket::urls))
        .route("/boxes/{id}/websocket/command", get(socket::command))
        .route("/boxes/{id}/websocket/run-code", get(socket::run_code))
        .route("/boxes/{id}/live-view-url", post(links::live_view_url))
        .route("/boxes/{id}/web-terminal-url", post(links::web_terminal_url))
        .route("/boxes/{id}/storage/presigned-url", post(storage::presigned_url))
        .route("/boxes/{id}/fs", delete(files::remove))
        .route("/boxes/{id}/proxy", proxy)
}

fn in_action() -> Router<Shared> {
    let clipboard = get(boxes::clipboard).post(boxes::set_clipboard);
    let settings = get(boxes::settings)
        .put(boxes::set_settings)
        .delete(boxes::reset_settings);
    let rewind = post(recording::enable_rewind).delete(recording::disable_rewind);
    Router::new()
        .route("/screenshot", post(actions::screenshot))
        .route("/screen-layout", get(actions::screen_layout))
        .route("/screen-rotation", post(touch::rotate))
        .route("/click", post(gestures::click))
        .route("/tap", post(gestures::tap))
        .route("/long-press", post(gestures::long_press))
        .route("/swipe", post(gestures::swipe))
        .route("/scroll", post(gestures::scroll))
        .route("/drag", post(gestures::drag))
        .route("/move", post(touch::hover))
        .route("/touch", post(touch::touch))
        .route("/type", post(keys::type_text))
        .route("/press-key", post(keys::press_key))
        .route("/press", post(keys::press_old))
        .route("/press-button", post(keys::press_button))
        .route("/clipboard", clipboard)
        .route("/settings", settings)
        .route("/elements/detect", post(insight::detect))
        .route("/extract", post(insight::extract))
        .route("/recording/start", post(recording::start))
        .route("/recording/stop", post(recording::stop))
        .route("/recording/rewind", rewind)
        .route("/recording/rewind/extract", post(recording::extract))
}

fn files_of_a_box() -> Router<Shared> {
    Router::new()
        .route("/list", get(files::list))
        .route("/read", get(files::read_file))
        .route("/info", get(files::info))
        .route("/write", post(files::write))
        .route("/exists", post(files::exists))
        .route("/rename", post(files::rename))
}

fn apps_of_a_box() -> Router<Shared> {
    Router::new()
        .route("/apps", get(packages::apps).post(packages::install))
        .route("/apps/{package}", get(packages::get_app).delete(packages::uninstall))
        .route("/packages", get(packages::list).post(packages::install))
        .route("/connect-address", get(adb::address))
        .route("/connect-url/appium", post(packages::no_appium))
        .route("/packages/simple", get(packages::list_simple))
        .route("/packages/close-all", post(packages::close_all))
        .route("/packages/backup-all", post(packages::backup_all))
        .route("/packages/restore", post(packages::restore))
        .route("/packages/{package}", get(packages::get).delete(packages::uninstall))
        .route("/packages/{package}/activities", get(packages::list_activities))
        .route("/packages/{package}/open", post(packages::open))
        .route("/packages/{package}/restart", post(packages::restart))
        .route("/packages/{package}/close", post(packages::close))
        .route("/packages/{package}/backup", post(packages::backup))
}

fn browser_of_a_box() -> Router<Shared> {
    let proxy = get(browser::get_proxy)
        .post(browser::set_proxy)
        .delete(browser::clear_proxy);
    Router::new()
        .route("/connect-url", get(browser::connect_url))
        .route("/connect-url/cdp", post(browser::cdp_url).get(browser::cdp_url))
        .route("/open", post(browser::open))
        .route("/close", delete(browser::close))
        .route("/tabs", get(browser::tabs).post(browser::open_tab))
        .route("/tabs/{tab}", put(browser::update_tab).delete(browser::close_tab))
        .route("/tabs/{tab}/switch", post(browser::switch_tab))
        .route("/proxy", proxy)
}

fn albums_of_a_box() -> Router<Shared> {
    let album = get(media::get_album)
        .patch(media::update_album)
        .delete(media::delete_album);
    Router::new()
        .route("/support", get(media::support))
        .route("/albums", get(media::albums).post(media::create_album))
        .route("/albums/{album}", album)
        .route("/albums/{album}/media", get(media::list))
        .route("/albums/{album}/media/{name}", get(media::get).delete(media::delete))
        .route("/albums/{album}/media/{name}/download", get(media::download))
}

fn beside_boxes() -> Router<Shared> {
    Router::new()
        .route("/model", post(model::model))
        .route("/devices", get(devices::list))
        .route("/devices/{device}", get(devices::get))
        .route("/devices/{device}/box", post(devices::to_box))
        .route("/snapshots", get(snapshots::list))
        .route(
            "/snapshots/{name}",
            get(snapshots::get).post(snapshots::create).delete(snapshots::remove),
        )
        .route("/storage/{*key}", get(storage::fetch))
        .route("/devtools/{id}/{token}", get(browser::devtools))
        .route("/live/{id}/{token}", get(links::live))
        .route("/live/{id}/{token}/screen.png", get(links::screen))
        .route("/terminal/{id}/{token}", get(links::terminal))
        .route("/terminal/{id}/{token}/run", post(links::run))
}

/// Paths that are opened by their address alone.
const OPEN: [&str; 4] = ["/storage/", "/devtools/", "/live/", "/terminal/"];

async fn no_such_path(request: Request) -> ApiError {
    ApiError::not_found(format!("Cannot {} {}", request.method(), request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!("{} cannot be asked with {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

async fn gate(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    if !OPEN.iter().any(|start| request.uri().path().starts_with(start)) {
        check_key(&state, &request)?;
    }
    let latency = state.config.latency;
    if !(latency.request.is_zero() && latency.jitter.is_zero()) {
        tokio::time::sleep(latency.request + latency.jitter.mul_f64(state.fraction())).await;
    }
    if state.draw(state.config.faults.unavailable) {
        state.refused.fetch_add(1, Ordering::Relaxed);
        return Err(ApiError::busy(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable on purpose: a fault of the simulator",
        ));
    }
    if mishap::acts(request.uri().path()) && state.draw(state.config.faults.refused_actions) {
        return Err(ApiError::bad("refused on purpose: a fault of the simulator"));
    }
    let (head, body) = whole(request, state.config.limits).await?;
    let request = Request::from_parts(head, body.clone().into());
    mishap::run(&state, request, &body, next).await
}

/// Whether a request may bring files with it.
fn brings_files(path: &str) -> bool {
    let ends = ["/fs/write", "/android/packages", "/android/apps", "/packages/restore"];
    ends.iter().any(|end| path.ends_with(end)) || path.contains("/media/albums")
}

/// A request with all of its body, which may neither be too large nor take too long.
async fn whole(request: Request, limits: Limits) -> Result<(Parts, Bytes), ApiError> {
    let (head, body) = request.into_parts();
    let most = if brings_files(head.uri.path()) {
        limits.upload_bytes
    } else {
        limits.body_bytes
    };
    let bytes = serve::whole(body, most, limits.body).await.map_err(|why| match why {
        NoBody::TooLarge => {
            let message = format!("read body: it is too large; expected at most {most} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        }
        NoBody::Broken(error) => {
            let message = format!("read body: {error}; expected a whole body, as the headers say");
            ApiError::new(StatusCode::BAD_REQUEST, message)
        }
        NoBody::Late => {
            let message = format!("read body: it did not come within {:?}", limits.body);
            ApiError::new(StatusCode::REQUEST_TIMEOUT, message)
        }
    })?;
    Ok((head, bytes))
}

fn check_key(state: &SimState, request: &Request) -> Result<(), ApiError> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let key = value
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .filter(|key| !key.is_empty());
    let accepted = match (&state.config.api_key, key) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(key)) => wanted.reveal() == key,
    };
    let refusal = "expected a valid key in the header Authorization: Bearer KEY";
    if accepted {
        Ok(())
    } else {
        Err(ApiError::new(StatusCode::UNAUTHORIZED, refusal))
    }
}
