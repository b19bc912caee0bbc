//! The things that tasks are about: switches, levels, apps and pages of the settings.

/// An on/off setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Toggle {
    /// Wi-Fi.
    Wifi,
    /// Bluetooth.
    Bluetooth,
    /// Airplane mode.
    Airplane,
    /// Do not disturb.
    Dnd,
    /// Dark theme.
    DarkTheme,
    /// Use location.
    Location,
    /// Auto-rotate.
    Rotate,
    /// Battery saver.
    BatterySaver,
    /// Mobile data.
    MobileData,
}

impl Toggle {
    /// All switches.
    pub const ALL: [Self; 9] = [
        Self::Wifi,
        Self::Bluetooth,
        Self::Airplane,
        Self::Dnd,
        Self::DarkTheme,
        Self::Location,
        Self::Rotate,
        Self::BatterySaver,
        Self::MobileData,
    ];

    /// The word in a goal, e.g. `dark_theme`.
    pub fn key(self) -> &'static str {
        self.row().0
    }

    /// Namespace and key of the setting, e.g. `global wifi_on`.
    pub fn setting(self) -> &'static str {
        self.row().1
    }

    /// The value that `settings put` takes for on or off.
    pub fn value(self, on: bool) -> &'static str {
        let (_, _, off_value, on_value, _) = self.row();
        if on { on_value } else { off_value }
    }

    /// The values that mean on or off, as a regular expression; real devices know more than one "on".
    pub fn pattern(self, on: bool) -> &'static str {
        match (self, on) {
            (Self::Dnd | Self::Location, true) => "[1-3]",
            _ => self.value(on),
        }
    }

    /// The page of the settings where the switch is.
    pub fn page(self) -> Page {
        self.row().4
    }

    fn row(self) -> (&'static str, &'static str, &'static str, &'static str, Page) {
        match self {
            Self::Wifi => ("wifi", "global wifi_on", "0", "1", Page::Network),
            Self::Bluetooth => ("bluetooth", "global bluetooth_on", "0", "1", Page::Network),
            Self::Airplane => ("airplane", "global airplane_mode_on", "0", "1", Page::Network),
            Self::Dnd => ("dnd", "global zen_mode", "0", "1", Page::Sound),
            Self::DarkTheme => ("dark_theme", "secure ui_night_mode", "1", "2", Page::Display),
            Self::Location => ("location", "secure location_mode", "0", "3", Page::Location),
            Self::Rotate => ("rotate", "system accelerometer_rotation", "0", "1", Page::Display),
            Self::BatterySaver => ("battery_saver", "global low_power", "0", "1", Page::Battery),
            Self::MobileData => ("mobile_data", "global mobile_data", "0", "1", Page::Network),
        }
    }
}

/// A third of the brightness slider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// 0 to 85.
    Low,
    /// 86 to 170.
    Medium,
    /// 171 to 255.
    High,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The word in a goal and in an instruction.
    pub fn key(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The level of a brightness.
    pub fn of(brightness: u8) -> Self {
        match brightness {
            0..=85 => Self::Low,
            86..=170 => Self::Medium,
            171..=255 => Self::High,
        }
    }

    /// The middle of the level.
    pub fn middle(self) -> u8 {
        match self {
            Self::Low => 42,
            Self::Medium => 128,
            Self::High => 213,
        }
    }

    /// The brightnesses of the level as a regular expression.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Low => "[0-9]|[1-7][0-9]|8[0-5]",
            Self::Medium => "8[6-9]|9[0-9]|1[0-6][0-9]|170",
            Self::High => "17[1-9]|1[89][0-9]|2[0-4][0-9]|25[0-5]",
        }
    }
}

/// An app of the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum App {
    /// Settings.
    Settings,
    /// Clock.
    Clock,
    /// Notes.
    Notes,
    /// Camera.
    Camera,
    /// Gallery.
    Gallery,
    /// Maps.
    Maps,
    /// Mail.
    Mail,
    /// Music.
    Music,
    /// Calculator.
    Calculator,
    /// Contacts.
    Contacts,
}

impl App {
    /// All apps.
    pub const ALL: [Self; 10] = [
        Self::Settings,
        Self::Clock,
        Self::Notes,
        Self::Camera,
        Self::Gallery,
        Self::Maps,
        Self::Mail,
        Self::Music,
        Self::Calculator,
        Self::Contacts,
    ];

    /// The word in a goal, e.g. `calculator`.
    pub fn key(self) -> &'static str {
        self.row().0
    }

    /// The name under its icon, e.g. `Calculator`.
    pub fn label(self) -> &'static str {
        self.row().1
    }

    /// The package, e.g. `com.android.calculator2`.
    pub fn package(self) -> &'static str {
        self.row().2
    }

    /// The activity that the launcher starts, e.g. `.Calculator`.
    pub fn activity(self) -> &'static str {
        self.row().3
    }

    fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Settings => ("settings", "Settings", "com.android.settings", ".Settings"),
            Self::Clock => ("clock", "Clock", "com.android.deskclock", ".DeskClock"),
            Self::Notes => ("notes", "Notes", "com.android.notes", ".Notes"),
            Self::Camera => ("camera", "Camera", "com.android.camera2", ".Camera"),
            Self::Gallery => ("gallery", "Gallery", "com.android.gallery3d", ".Gallery"),
            Self::Maps => ("maps", "Maps", "com.android.maps", ".Maps"),
            Self::Mail => ("mail", "Mail", "com.android.email", ".Mail"),
            Self::Music => ("music", "Music", "com.android.music", ".Music"),
            Self::Calculator => ("calculator", "Calculator", "com.android.calculator2", ".Calculator"),
            Self::Contacts => ("contacts", "Contacts", "com.android.contacts", ".People"),
        }
    }
}

/// A sub page of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Page {
    /// Network & internet.
    Network,
    /// Display.
    Display,
    /// Sound.
    Sound,
    /// Battery.
    Battery,
    /// Location.
    Location,
    /// About.
    About,
}

impl Page {
    /// All pages.
    pub const ALL: [Self; 6] = [
        Self::Network,
        Self::Display,
        Self::Sound,
        Self::Battery,
        Self::Location,
        Self::About,
    ];

    /// The word in a goal and in an instruction.
    pub fn key(self) -> &'static str {
        self.row().0
    }

    /// The row of the settings that leads there, e.g. `Network & internet`.
    pub fn label(self) -> &'static str {
        self.row().1
    }

    /// The activity, e.g. `.Settings$DisplaySettingsActivity`.
    pub fn activity(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Network => ("network", "Network & internet", ".Settings$NetworkDashboardActivity"),
            Self::Display => ("display", "Display", ".Settings$DisplaySettingsActivity"),
            Self::Sound => ("sound", "Sound", ".Settings$SoundSettingsActivity"),
            Self::Battery => ("battery", "Battery", ".Settings$BatterySettingsActivity"),
            Self::Location => ("location", "Location", ".Settings$LocationSettingsActivity"),
            Self::About => ("about", "About", ".Settings$AboutActivity"),
        }
    }
}
