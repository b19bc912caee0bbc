//! The paths of the API, and what happens to every request: counting, key, delay, failures on purpose.

use super::{
    actions, boxes,
    config::Limits,
    gestures, mishap, model,
    reply::ApiError,
    state::{Shared, SimState},
};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use std::sync::atomic::Ordering;

/// All paths, at `/api/v1` and at the root.
pub(super) fn router(state: Shared) -> Router {
    let action = |name: &str| format!("/boxes/{{id}}/actions/{name}");
    let api = Router::new()
        .route("/boxes", get(boxes::list))
        .route("/boxes/android", post(boxes::create_android))
        .route("/boxes/linux", post(boxes::create_linux))
        .route("/boxes/{id}", get(boxes::get).delete(boxes::terminate))
        .route("/boxes/{id}/terminate", post(boxes::terminate))
        .route("/boxes/{id}/display", get(boxes::display))
        .route("/boxes/{id}/commands", post(boxes::commands))
        .route(&action("screenshot"), post(actions::screenshot))
        .route(&action("screen-layout"), get(actions::screen_layout))
        .route(&action("click"), post(gestures::click))
        .route(&action("tap"), post(gestures::tap))
        .route(&action("long-press"), post(gestures::long_press))
        .route(&action("swipe"), post(gestures::swipe))
        .route(&action("scroll"), post(gestures::scroll))
        .route(&action("drag"), post(gestures::drag))
        .route(&action("type"), post(gestures::type_text))
        .route(&action("press-key"), post(gestures::press_key))
        .route(&action("press"), post(gestures::press_key))
        .route(&action("press-button"), post(gestures::press_button))
        .route("/model", post(model::model))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .nest("/api/v1", api.clone())
        .merge(api)
        .layer(middleware::from_fn_with_state(state.clone(), gate))
        // The gate has bounded bodies.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

async fn no_such_path(request: Request) -> ApiError {
    ApiError::not_found(format!("Cannot {} {}", request.method(), request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!("{} cannot be asked with {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

async fn gate(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    check_key(&state, &request)?;
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

/// A request with all of its body, which may neither be too large nor take too long.
async fn whole(request: Request, limits: Limits) -> Result<(Parts, Bytes), ApiError> {
    let (head, body) = request.into_parts();
    let read = axum::body::to_bytes(body, limits.body_bytes);
    let bytes = match tokio::time::timeout(limits.body, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let message = format!("read body: {error}; expected at most {} bytes", limits.body_bytes);
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Err(_) => {
            let message = format!("read body: it did not come within {:?}", limits.body);
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message));
        }
    };
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
