//! What the phone's apps look like, and the launcher that they are started from.

use cua_grpo_android::names::App;

/// The colour of the icon, which is also the background of apps that are only a coloured screen.
pub fn colour(app: App) -> [u8; 3] {
    match app {
        App::Settings => [96, 108, 118],
        App::Clock => [38, 50, 110],
        App::Notes => [250, 190, 40],
        App::Camera => [60, 60, 66],
        App::Gallery => [220, 84, 150],
        App::Maps => [52, 160, 84],
        App::Mail => [214, 62, 52],
        App::Music => [240, 120, 30],
        App::Calculator => [0, 140, 150],
        App::Contacts => [52, 116, 224],
    }
}

/// The package of the launcher.
pub const LAUNCHER_PACKAGE: &str = "com.android.launcher3";
/// The simple class name of the launcher's activity.
pub const LAUNCHER_ACTIVITY: &str = "Launcher";
