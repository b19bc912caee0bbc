//! The things of a phone that tasks, the simulated phone and its demonstrator speak of: switches, levels, apps, pages.

/// An on/off setting that has a switch on a page of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Toggle {
    /// Wi-Fi radio.
    Wifi,
    /// Bluetooth radio.
    Bluetooth,
    /// Airplane mode.
    Airplane,
    /// Mobile data.
    MobileData,
    /// Dark theme.
    DarkTheme,
    /// Auto-rotate.
    AutoRotate,
    /// Do not disturb.
    DoNotDisturb,
    /// Battery saver.
    BatterySaver,
    /// Use location.
    Location,
}

impl Toggle {
    /// All switches.
    pub const ALL: [Self; 9] = [
        Self::Wifi,
        Self::Bluetooth,
        Self::Airplane,
        Self::MobileData,
        Self::DarkTheme,
        Self::AutoRotate,
        Self::DoNotDisturb,
        Self::BatterySaver,
        Self::Location,
    ];

    /// The word in a goal, e.g. `dark_theme`.
    pub fn key(self) -> &'static str {
        self.words().0
    }

    /// The text of its row, e.g. `Dark theme`.
    pub fn label(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Wifi => ("wifi", "Wi-Fi"),
            Self::Bluetooth => ("bluetooth", "Bluetooth"),
            Self::Airplane => ("airplane", "Airplane mode"),
            Self::MobileData => ("mobile_data", "Mobile data"),
            Self::DarkTheme => ("dark_theme", "Dark theme"),
            Self::AutoRotate => ("rotate", "Auto-rotate"),
            Self::DoNotDisturb => ("dnd", "Do not disturb"),
            Self::BatterySaver => ("battery_saver", "Battery saver"),
            Self::Location => ("location", "Use location"),
        }
    }

    /// Where the state is kept: table as the `settings` command names it, key, value for off, value for on.
    pub fn entry(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Wifi => ("global", "wifi_on", "0", "1"),
            Self::Bluetooth => ("global", "bluetooth_on", "0", "1"),
            Self::Airplane => ("global", "airplane_mode_on", "0", "1"),
            Self::MobileData => ("global", "mobile_data", "0", "1"),
            Self::DarkTheme => ("secure", "ui_night_mode", "1", "2"),
            Self::AutoRotate => ("system", "accelerometer_rotation", "0", "1"),
            Self::DoNotDisturb => ("global", "zen_mode", "0", "1"),
            Self::BatterySaver => ("global", "low_power", "0", "1"),
            Self::Location => ("secure", "location_mode", "0", "3"),
        }
    }

    /// Table and key as the `settings` command takes them, e.g. `global wifi_on`.
    pub fn setting(self) -> String {
        let (table, key, ..) = self.entry();
        format!("{table} {key}")
    }

    /// The value that `settings put` takes for on or off.
    pub fn value(self, on: bool) -> &'static str {
        let (_, _, off_value, on_value) = self.entry();
        if on { on_value } else { off_value }
    }

    /// The values that mean on or off, as a regular expression; real devices know more than one "on".
    pub fn pattern(self, on: bool) -> &'static str {
        match (self, on) {
            (Self::DoNotDisturb | Self::Location, true) => "[1-3]",
            _ => self.value(on),
        }
    }

    /// The page of the settings where the switch is.
    pub fn page(self) -> Page {
        match self {
            Self::Wifi | Self::Bluetooth | Self::Airplane | Self::MobileData => Page::Network,
            Self::DarkTheme | Self::AutoRotate => Page::Display,
            Self::DoNotDisturb => Page::Sound,
            Self::BatterySaver => Page::Battery,
            Self::Location => Page::Location,
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

    /// The simple class name of the activity that the launcher starts, e.g. `Calculator`.
    pub fn activity(self) -> &'static str {
        self.row().3
    }

    /// The same app on a Pixel: the name under its icon, package and full class.
    pub fn on_pixel(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Settings => ("Settings", "com.android.settings", "com.android.settings.Settings"),
            Self::Clock => (
                "Clock",
                "com.google.android.deskclock",
                "com.android.deskclock.DeskClock",
            ),
            Self::Notes => (
                "Keep Notes",
                "com.google.android.keep",
                "com.google.android.apps.keep.ui.activities.BrowseActivity",
            ),
            Self::Camera => (
                "Camera",
                "com.google.android.GoogleCamera",
                "com.android.camera.CameraLauncher",
            ),
            Self::Gallery => (
                "Photos",
                "com.google.android.apps.photos",
                "com.google.android.apps.photos.home.HomeActivity",
            ),
            Self::Maps => (
                "Maps",
                "com.google.android.apps.maps",
                "com.google.android.maps.MapsActivity",
            ),
            Self::Mail => (
                "Gmail",
                "com.google.android.gm",
                "com.google.android.gm.ConversationListActivityGmail",
            ),
            Self::Music => (
                "Music",
                "com.google.android.apps.youtube.music",
                "com.google.android.apps.youtube.music.activities.MusicActivity",
            ),
            Self::Calculator => (
                "Calculator",
                "com.google.android.calculator",
                "com.android.calculator2.Calculator",
            ),
            Self::Contacts => (
                "Contacts",
                "com.google.android.contacts",
                "com.android.contacts.activities.PeopleActivity",
            ),
        }
    }

    fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Settings => ("settings", "Settings", "com.android.settings", "Settings"),
            Self::Clock => ("clock", "Clock", "com.android.deskclock", "DeskClock"),
            Self::Notes => ("notes", "Notes", "com.android.notes", "Notes"),
            Self::Camera => ("camera", "Camera", "com.android.camera2", "Camera"),
            Self::Gallery => ("gallery", "Gallery", "com.android.gallery3d", "Gallery"),
            Self::Maps => ("maps", "Maps", "com.android.maps", "Maps"),
            Self::Mail => ("mail", "Mail", "com.android.email", "Mail"),
            Self::Music => ("music", "Music", "com.android.music", "Music"),
            Self::Calculator => ("calculator", "Calculator", "com.android.calculator2", "Calculator"),
            Self::Contacts => ("contacts", "Contacts", "com.android.contacts", "People"),
        }
    }
}

/// A page below the root of the settings.
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
    /// Storage.
    Storage,
    /// Security.
    Security,
    /// Privacy.
    Privacy,
    /// Accounts.
    Accounts,
    /// Apps.
    Apps,
    /// Accessibility.
    Accessibility,
    /// Languages.
    Languages,
}

impl Page {
    /// All pages.
    pub const ALL: [Self; 13] = [
        Self::Network,
        Self::Display,
        Self::Sound,
        Self::Battery,
        Self::Location,
        Self::About,
        Self::Storage,
        Self::Security,
        Self::Privacy,
        Self::Accounts,
        Self::Apps,
        Self::Accessibility,
        Self::Languages,
    ];

    /// The pages that tasks ask for.
    pub const ASKED: [Self; 6] = [
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

    /// The row of the settings that leads there, which is also its title, e.g. `Network & internet`.
    pub fn label(self) -> &'static str {
        self.row().1
    }

    /// The simple class name of the activity, e.g. `Settings$DisplaySettingsActivity`.
    pub fn activity(self) -> &'static str {
        self.row().2
    }

    /// The rows that lead to the page from the settings of a Pixel; the last is its title.
    pub fn on_pixel(self) -> &'static [&'static str] {
        match self {
            Self::Network => &["Network & internet"],
            Self::Display => &["Display"],
            Self::Sound => &["Sound & vibration"],
            Self::Battery => &["Battery"],
            Self::Location => &["Location"],
            Self::About => &["About phone"],
            Self::Storage => &["Storage"],
            Self::Security => &["Security & privacy"],
            Self::Privacy => &["Security & privacy", "Privacy"],
            Self::Accounts => &["Passwords & accounts"],
            Self::Apps => &["Apps"],
            Self::Accessibility => &["Accessibility"],
            Self::Languages => &["System", "Languages"],
        }
    }

    /// The switches on this page, from the top.
    pub fn toggles(self) -> impl Iterator<Item = Toggle> {
        Toggle::ALL.into_iter().filter(move |toggle| toggle.page() == self)
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Network => ("network", "Network & internet", "Settings$NetworkDashboardActivity"),
            Self::Display => ("display", "Display", "Settings$DisplaySettingsActivity"),
            Self::Sound => ("sound", "Sound", "Settings$SoundSettingsActivity"),
            Self::Battery => ("battery", "Battery", "Settings$BatterySettingsActivity"),
            Self::Location => ("location", "Location", "Settings$LocationSettingsActivity"),
            Self::About => ("about", "About", "Settings$AboutActivity"),
            Self::Storage => ("storage", "Storage", "Settings$StorageDashboardActivity"),
            Self::Security => ("security", "Security", "Settings$SecurityDashboardActivity"),
            Self::Privacy => ("privacy", "Privacy", "Settings$PrivacyDashboardActivity"),
            Self::Accounts => ("accounts", "Accounts", "Settings$AccountDashboardActivity"),
            Self::Apps => ("apps", "Apps", "Settings$AppDashboardActivity"),
            Self::Accessibility => (
                "accessibility",
                "Accessibility",
                "Settings$AccessibilitySettingsActivity",
            ),
            Self::Languages => ("languages", "Languages", "Settings$LanguageSettingsActivity"),
        }
    }
}
