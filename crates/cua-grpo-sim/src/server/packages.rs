//! The package and app endpoints.

use super::{
    form::Form,
    reply::{ApiError, Parameters, read},
    state::Shared,
};
use crate::device::{Activity, Device, Package, from_bytes, from_url};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

type Answer = Result<Json<Value>, ApiError>;
type BoxAndPackage = Path<(String, String)>;

const KINDS: [&str; 2] = ["system", "thirdParty"];

fn activities(package: &Package) -> Vec<Value> {
    let shown = |activity: &Activity| {
        json!({
            "className": activity.class, "name": activity.short(&package.name), "packageName": package.name,
            "isExported": activity.exported, "isLauncher": activity.launcher, "isMain": activity.main,
        })
    };
    package.activities.iter().map(shown).collect()
}

fn brief(package: &Package) -> Value {
    json!({ "packageName": package.name, "apkPath": package.apk, "pkgType": package.kind() })
}

fn shown(device: &Device, package: &Package) -> Value {
    let mut value = brief(package);
    value["name"] = package.label.clone().into();
    value["version"] = package.version.clone().into();
    value["isRunning"] = device.is_running(&package.name).into();
    value
}

/// An app: what the launcher shows. Old clients read the fields of a package of it.
fn app(device: &Device, package: &Package) -> Option<Value> {
    let activity = package.launcher()?;
    let mut value = shown(device, package);
    value["activityName"] = activity.short(&package.name).into();
    value["activityClassName"] = activity.class.clone().into();
    Some(value)
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("package {name:?}: not installed"))
}

fn known<'a>(device: &'a Device, name: &str) -> Result<Cow<'a, Package>, ApiError> {
    device.package(name).ok_or_else(|| unknown(name))
}

/// `POST packages`: a file, or an address, which names the app and is not fetched.
pub(super) async fn install(State(state): State<Shared>, Path(id): Path<String>, form: Form) -> Answer {
    let open = form.truth("open")?;
    let (package, bytes) = match form.files("apk").into_iter().next() {
        Some((file, bytes)) => (from_bytes(file, &bytes), bytes),
        None => (from_url(form.required("apk")?), Bytes::new()),
    };
    let package = package.map_err(ApiError::bad)?;
    state.with_running(&id, |device, _| {
        let name = package.name.clone();
        device.install(package, bytes).map_err(ApiError::bad)?;
        if open && known(device, &name)?.launcher().is_some() {
            device.open(&name, None).map_err(ApiError::bad)?;
        }
        let package = known(device, &name)?;
        let mut value = brief(&package);
        value["activities"] = activities(&package).into();
        Ok(Json(value))
    })
}

pub(super) async fn apps(State(state): State<Shared>, Path(id): Path<String>) -> Answer {
    state.with_running(&id, |device, _| {
        let all = device.packages();
        let data: Vec<Value> = all.iter().filter_map(|package| app(device, package)).collect();
        Ok(Json(json!({ "data": data })))
    })
}

pub(super) async fn get_app(State(state): State<Shared>, Path((id, name)): BoxAndPackage) -> Answer {
    state.with_running(&id, |device, _| {
        let app = app(device, &*known(device, &name)?);
        app.map(Json)
            .ok_or_else(|| ApiError::not_found(format!("{name:?} has nothing that the launcher starts")))
    })
}

/// What a list of packages is to have: those that were installed, unless it says otherwise.
fn wanted(query: &Parameters) -> Result<impl Fn(&Package) -> bool + use<>, ApiError> {
    let kinds = query.words("pkgType", &KINDS)?.unwrap_or_else(|| vec!["thirdParty"]);
    let kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
    Ok(move |package: &Package| kinds.iter().any(|kind| kind == package.kind()))
}

pub(super) async fn list(State(state): State<Shared>, Path(id): Path<String>, query: Parameters) -> Answer {
    let wanted = wanted(&query)?;
    let states = query.words("runningFilter", &["running", "notRunning"])?;
    let runs = |running: bool| {
        let word = if running { "running" } else { "notRunning" };
        states.as_ref().is_none_or(|states| states.contains(&word))
    };
    state.with_running(&id, |device, _| {
        let all = device.packages();
        let packages = all.iter().filter(|package| wanted(package));
        let packages = packages.filter(|package| runs(device.is_running(&package.name)));
        let data: Vec<Value> = packages.map(|package| shown(device, package)).collect();
        Ok(Json(json!({ "data": data })))
    })
}

pub(super) async fn list_simple(State(state): State<Shared>, Path(id): Path<String>, query: Parameters) -> Answer {
    let wanted = wanted(&query)?;
    state.with_running(&id, |device, _| {
        let all = device.packages();
        let data: Vec<Value> = all
            .iter()
            .filter(|package| wanted(package))
            .map(|package| brief(package))
            .collect();
        Ok(Json(json!({ "data": data })))
    })
}

pub(super) async fn get(State(state): State<Shared>, Path((id, name)): BoxAndPackage) -> Answer {
    state.with_running(&id, |device, _| Ok(Json(shown(device, &*known(device, &name)?))))
}

pub(super) async fn list_activities(State(state): State<Shared>, Path((id, name)): BoxAndPackage) -> Answer {
    state.with_running(&id, |device, _| {
        Ok(Json(json!({ "data": activities(&*known(device, &name)?) })))
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    activity_name: Option<String>,
    activity_class_name: Option<String>,
}

fn start(state: &Shared, id: &str, name: &str, body: &Bytes, afresh: bool) -> Result<StatusCode, ApiError> {
    let Opening {
        activity_name,
        activity_class_name,
    } = read("open", body)?;
    let activity = activity_name.or(activity_class_name);
    state.with_running(id, |device, _| {
        let package = known(device, name)?;
        if let Some(activity) = &activity
            && package.activity(activity).is_none()
        {
            return Err(ApiError::bad(format!("activityName: {name} has no {activity:?}")));
        }
        if afresh {
            device.close(name).map_err(ApiError::bad)?;
        }
        device.open(name, activity.as_deref()).map_err(ApiError::bad)?;
        Ok(StatusCode::OK)
    })
}

pub(super) async fn open(
    State(state): State<Shared>,
    Path((id, name)): BoxAndPackage,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    start(&state, &id, &name, &body, false)
}

pub(super) async fn restart(
    State(state): State<Shared>,
    Path((id, name)): BoxAndPackage,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    start(&state, &id, &name, &body, true)
}

pub(super) async fn close(
    State(state): State<Shared>,
    Path((id, name)): BoxAndPackage,
) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        known(device, &name)?;
        device.close(&name).map_err(ApiError::bad)?;
        Ok(StatusCode::OK)
    })
}

pub(super) async fn close_all(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |device, _| {
        for name in device.running_apps() {
            device.close(&name).map_err(ApiError::bad)?;
        }
        Ok(StatusCode::OK)
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uninstall {
    keep_data: Option<bool>,
}

pub(super) async fn uninstall(
    State(state): State<Shared>,
    Path((id, name)): BoxAndPackage,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let Uninstall { keep_data } = read("uninstall", &body)?;
    state.with_running(&id, |device, _| {
        known(device, &name)?;
        device
            .uninstall(&name, keep_data.unwrap_or(false))
            .map_err(ApiError::bad)?;
        Ok(StatusCode::OK)
    })
}

fn binary(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}

pub(super) async fn backup(State(state): State<Shared>, Path((id, name)): BoxAndPackage) -> Result<Response, ApiError> {
    state.with_running(&id, |device, _| {
        known(device, &name)?;
        Ok(binary(device.backup(&[name])))
    })
}

/// All that was installed, and the phone's own apps that remember something.
pub(super) async fn backup_all(State(state): State<Shared>, Path(id): Path<String>) -> Result<Response, ApiError> {
    state.with_running(&id, |device, _| {
        let all = device.packages();
        let apps = all.iter().filter(|package| package.launcher().is_some());
        let names: Vec<String> = apps.map(|package| package.name.clone()).collect();
        Ok(binary(device.backup(&names)))
    })
}

pub(super) async fn restore(
    State(state): State<Shared>,
    Path(id): Path<String>,
    form: Form,
) -> Result<StatusCode, ApiError> {
    let backup = form.bytes("backup")?;
    state.with_running(&id, |device, _| {
        device.restore(&backup).map_err(ApiError::bad)?;
        Ok(StatusCode::OK)
    })
}

/// Where Appium would connect: it needs a real Android behind adb.
pub(super) async fn no_appium(State(state): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.with_running(&id, |_, _| {
        Err(ApiError::bad(
            "this simulated phone has no Appium; act by POST /boxes/{id}/actions/...",
        ))
    })
}
