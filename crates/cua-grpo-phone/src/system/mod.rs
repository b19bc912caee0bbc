//! The windows of the system: bars, home screen, shade, recent apps, lock screen, keyboard, prompts.

pub mod bars;
pub mod home;
pub mod keyboard;
pub mod lock;
pub mod panels;
pub mod recents;
pub mod shade;
pub mod tiles;

/// The package of the system's windows.
pub const SYSTEM_UI: &str = "com.android.systemui";
/// The package of the keyboard.
pub const IME: &str = "com.google.android.inputmethod.latin";
/// Height of the status bar in dp.
pub const STATUS: f32 = 40.0;
