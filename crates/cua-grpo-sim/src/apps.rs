//! The apps of the simulated phone: names, packages, activities and colours.

/// An app that has an icon on the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum App {
    /// System settings.
    Settings,
    /// Alarm clock.
    Clock,
    /// Text notes.
    Notes,
    /// Camera.
    Camera,
    /// Photo gallery.
    Gallery,
    /// Maps.
    Maps,
    /// E-mail.
    Mail,
    /// Music player.
    Music,
    /// Calculator.
    Calculator,
    /// Address book.
    Contacts,
}

impl App {
    /// Every app, in a fixed order.
    pub const ALL: [App; 10] = [
        App::Settings,
        App::Clock,
        App::Notes,
        App::Camera,
        App::Gallery,
        App::Maps,
        App::Mail,
        App::Music,
        App::Calculator,
        App::Contacts,
    ];

    /// The name under the icon.
    pub fn label(self) -> &'static str {
        match self {
            App::Settings => "Settings",
            App::Clock => "Clock",
            App::Notes => "Notes",
            App::Camera => "Camera",
            App::Gallery => "Gallery",
            App::Maps => "Maps",
            App::Mail => "Mail",
            App::Music => "Music",
            App::Calculator => "Calculator",
            App::Contacts => "Contacts",
        }
    }

    /// The Android package.
    pub fn package(self) -> &'static str {
        match self {
            App::Settings => "com.android.settings",
            App::Clock => "com.android.deskclock",
            App::Notes => "com.android.notes",
            App::Camera => "com.android.camera2",
            App::Gallery => "com.android.gallery3d",
            App::Maps => "com.android.maps",
            App::Mail => "com.android.email",
            App::Music => "com.android.music",
            App::Calculator => "com.android.calculator2",
            App::Contacts => "com.android.contacts",
        }
    }

    /// The simple class name of the main activity.
    pub fn activity(self) -> &'static str {
        match self {
            App::Settings => "Settings",
            App::Clock => "DeskClock",
            App::Notes => "Notes",
            App::Camera => "Camera",
            App::Gallery => "Gallery",
            App::Maps => "Maps",
            App::Mail => "Mail",
            App::Music => "Music",
            App::Calculator => "Calculator",
            App::Contacts => "People",
        }
    }

    /// The colour of the icon, which is also the background of apps that are only a coloured screen.
    pub fn colour(self) -> [u8; 3] {
        match self {
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
}

/// The package of the launcher.
pub const LAUNCHER_PACKAGE: &str = "com.android.launcher3";
/// The simple class name of the launcher's activity.
pub const LAUNCHER_ACTIVITY: &str = "Launcher";
