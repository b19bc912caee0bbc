//! Default apps, and the notifications of apps.

use super::{
    apps_pages::{app_row, visible},
    kit::{about_app, link, switch, tell, to},
};
use crate::{
    state::{State, Toggle},
    ui::{End, Row, Ui},
};

/// Roles with their titles.
const ROLES: [(&str, &str); 5] = [
    ("ASSISTANT", "Digital assistant app"),
    ("BROWSER", "Browser app"),
    ("HOME", "Home app"),
    ("DIALER", "Phone app"),
    ("SMS", "SMS app"),
];

/// The title of a role.
pub fn role_title(role: &str) -> &'static str {
    ROLES
        .iter()
        .find(|(name, _)| *name == role)
        .map_or("Default app", |(_, title)| title)
}

/// The notifications of an app.
pub fn notifications(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = ui.place.var("package").to_owned();
    let on = state.packages.get(&name).is_some_and(|package| package.notifies);
    let title = format!("All {} notifications", state.label(&name));
    let mut y = ui.main_switch(y, &title, on, move |state| set_notifies(state, &name, !on));
    if on {
        y = tell(ui, y, "Default", "Sound and vibration");
        y = tell(ui, y, "Notification dot", "On");
    }
    y
}

/// Shows the notifications of an app or not.
fn set_notifies(state: &mut State, name: &str, on: bool) {
    if !state.allow(name, "POST_NOTIFICATIONS", Some(on))
        && let Some(package) = state.packages.get_mut(name)
    {
        package.notifies = on;
    }
    if !on {
        state.notifications.retain(|n| n.package != name);
    }
}

/// Default apps.
pub fn defaults(state: &State, ui: &mut Ui, y: f32) -> f32 {
    ROLES.iter().fold(y, |y, (role, title)| {
        let holder = state
            .roles
            .get(*role)
            .map(|package| state.label(package))
            .unwrap_or_default();
        let role = *role;
        ui.row(
            y,
            Row::new(title).summary(&holder).tap(move |state| {
                to("default_app")(state);
                state.page_mut().set("role", role);
            }),
        )
    })
}

/// One default app.
pub fn default_app(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let role = ui.place.var("role").to_owned();
    let now = state.roles.get(&role).cloned().unwrap_or_default();
    candidates(state, &role).into_iter().fold(y, |y, package| {
        let label = if package.is_empty() {
            "None".to_owned()
        } else {
            state.label(&package)
        };
        let role = role.clone();
        let chosen = package.clone();
        ui.row(
            y,
            Row::new(&label).end(End::Radio(package == now)).tap(move |state| {
                state.roles.insert(role.clone(), chosen.clone());
            }),
        )
    })
}

/// Packages that may hold a role.
pub fn candidates(state: &State, role: &str) -> Vec<String> {
    let now = state.roles.get(role).cloned().unwrap_or_default();
    let mut list = vec![now];
    let others: &[&str] = match role {
        "BROWSER" => &["com.android.chrome", "org.mozilla.firefox"],
        "SMS" => &["com.google.android.apps.messaging", "com.android.mms"],
        "DIALER" => &["com.google.android.dialer"],
        "ASSISTANT" => &["com.google.android.googlequicksearchbox", ""],
        _ => &[],
    };
    for other in others {
        if !list.iter().any(|known| known == other) {
            list.push((*other).to_owned());
        }
    }
    list
}

/// Notifications.
pub fn all_notifications(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = ui.category(y - 12.0, "Manage");
    y = link(
        ui,
        y,
        "",
        "App settings",
        "Control notifications from individual apps",
        "notification_apps",
    );
    let history = if state.on(Toggle::NotificationHistory) {
        "On"
    } else {
        "Off"
    };
    y = link(ui, y, "", "Notification history", history, "history");
    y = ui.category(y, "Conversation");
    y = tell(ui, y, "Conversations", "No priority conversations");
    y = switch(
        state,
        ui,
        y,
        "Bubbles",
        "Conversations can appear as floating icons",
        Toggle::Bubbles,
    );
    y = ui.category(y, "Privacy");
    y = switch(
        state,
        ui,
        y,
        "Notifications on lock screen",
        "Show conversations, default, and silent",
        Toggle::LockNotifications,
    );
    y = ui.category(y, "General");
    let dnd = if state.on(Toggle::Dnd) {
        "On"
    } else {
        "Off / 1 schedule can turn on automatically"
    };
    y = link(ui, y, "", "Do Not Disturb", dnd, "dnd");
    tell(ui, y, "Flash notifications", "Off")
}

/// A switch for each app's notifications.
pub fn notification_apps(state: &State, ui: &mut Ui, y: f32) -> f32 {
    visible(state).into_iter().fold(y, |y, (name, package)| {
        let (on, flipped) = (package.notifies, name.to_owned());
        let row = Row::new(&package.label)
            .end(End::Split(on))
            .tap(about_app("app_notifications", name));
        app_row(
            state,
            ui,
            y,
            name,
            row.end_tap(move |state| set_notifies(state, &flipped, !on)),
        )
    })
}

/// Notification history.
pub fn history(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::NotificationHistory);
    let mut y = ui.main_switch(y, "Use notification history", on, |state| {
        state.flip(Toggle::NotificationHistory)
    });
    if on {
        y = ui.category(y, "Recently dismissed");
        for gone in &state.dismissed {
            y = app_row(
                state,
                ui,
                y,
                &gone.package,
                Row::new(&gone.title).summary(&gone.text).tap(|_| ()),
            );
        }
    }
    y
}
