//! The phone as a device: switches, volume, brightness, permissions, notifications.

use super::{
    Prompt, State, Table, Toggle,
    data::{Call, Message, Notification},
};

/// Where sounds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Calls.
    Call,
    /// Ringtone.
    Ring,
    /// Music and videos.
    Media,
    /// Alarms.
    Alarm,
    /// Notifications.
    Notification,
}

impl Stream {
    /// All of them, in the order of their settings.
    pub const ALL: [Self; 5] = [Self::Media, Self::Call, Self::Ring, Self::Notification, Self::Alarm];

    /// Key in the system table.
    pub fn key(self) -> &'static str {
        match self {
            Self::Call => "volume_voice",
            Self::Ring => "volume_ring",
            Self::Media => "volume_music",
            Self::Alarm => "volume_alarm",
            Self::Notification => "volume_notification",
        }
    }

    /// Least and largest volume.
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::Call => (1, 7),
            Self::Ring | Self::Notification => (0, 7),
            Self::Media => (0, 15),
            Self::Alarm => (1, 7),
        }
    }

    /// From the number of commands.
    pub fn of(number: i64) -> Option<(Self, &'static str)> {
        Some(match number {
            0 => (Self::Call, "STREAM_VOICE_CALL"),
            2 => (Self::Ring, "STREAM_RING"),
            3 => (Self::Media, "STREAM_MUSIC"),
            4 => (Self::Alarm, "STREAM_ALARM"),
            5 => (Self::Notification, "STREAM_NOTIFICATION"),
            _ => return None,
        })
    }
}

/// Brightness (1 to 255) of a slider's place (0 to 1): the curve of Android.
pub fn slider_to_brightness(slider: f32) -> i64 {
    let s = slider.clamp(0.0, 1.0);
    let part = if s <= 0.5 {
        (2.0 * s) * (2.0 * s) / 12.0
    } else {
        (((s - 0.559_910_7) / 0.178_832_77).exp() + 0.284_668_93) / 12.0
    };
    ((1.0 + 254.0 * part).round() as i64).clamp(1, 255)
}

/// The slider's place of a brightness.
pub fn brightness_to_slider(brightness: i64) -> f32 {
    let part = (brightness.clamp(1, 255) - 1) as f32 / 254.0 * 12.0;
    if part <= 1.0 {
        part.sqrt() * 0.5
    } else {
        (0.178_832_77 * (part - 0.284_668_93).ln() + 0.559_910_7).clamp(0.0, 1.0)
    }
}

impl State {
    /// Turns something on or off, with all that follows.
    pub fn turn(&mut self, toggle: Toggle, on: bool) {
        let (table, key, off_value, on_value) = toggle.entry();
        match toggle {
            Toggle::Airplane => self.airplane(on),
            Toggle::Wifi => {
                let plane = self.on(Toggle::Airplane);
                let value = if on && plane {
                    "2"
                } else if on {
                    "1"
                } else {
                    "0"
                };
                self.settings.put(table, key, value);
                if on {
                    self.turn(Toggle::Hotspot, false);
                }
            }
            Toggle::Hotspot if on => {
                self.settings.put(Table::Global, "wifi_on", "0");
                self.settings.put(table, key, on_value);
            }
            Toggle::BatterySaver if on && self.battery.plugged => {
                // As on a device: not while it charges.
            }
            _ => self.settings.put(table, key, if on { on_value } else { off_value }),
        }
    }

    /// Turns something over.
    pub fn flip(&mut self, toggle: Toggle) {
        self.turn(toggle, !self.on(toggle));
    }

    fn airplane(&mut self, on: bool) {
        self.settings
            .put(Table::Global, "airplane_mode_on", if on { "1" } else { "0" });
        let wifi = self.settings.get(Table::Global, "wifi_on").unwrap_or("0").to_owned();
        let after = match (on, wifi.as_str()) {
            (true, "1") => "3",
            (false, "2" | "3") => "1",
            (_, other) => other,
        };
        self.settings.put(Table::Global, "wifi_on", after);
        let bluetooth = self
            .settings
            .get(Table::Global, "bluetooth_on")
            .unwrap_or("0")
            .to_owned();
        if on {
            let remembered = if bluetooth == "1" { "1" } else { "0" };
            self.props
                .insert("sys.bluetooth.before_airplane".to_owned(), remembered.to_owned());
            self.settings.put(Table::Global, "bluetooth_on", "0");
        } else if self.props.remove("sys.bluetooth.before_airplane").as_deref() == Some("1") {
            self.settings.put(Table::Global, "bluetooth_on", "1");
        }
    }

    /// The network that the phone is connected to.
    pub fn network(&self) -> Option<&super::data::Network> {
        let wanted = self.props.get("wifi.ssid");
        self.networks
            .iter()
            .find(|network| self.on(Toggle::Wifi) && Some(&network.ssid) == wanted)
    }

    /// Brightness, 1 to 255.
    pub fn brightness(&self) -> i64 {
        self.settings
            .number(Table::System, "screen_brightness")
            .unwrap_or(102)
            .clamp(1, 255)
    }

    /// The volume of a stream.
    pub fn volume(&self, stream: Stream) -> i64 {
        let (least, most) = stream.range();
        self.settings
            .number(Table::System, stream.key())
            .unwrap_or(least)
            .clamp(least, most)
    }

    /// Sets the volume of a stream, kept within its range.
    pub fn set_volume(&mut self, stream: Stream, volume: i64) {
        let (least, most) = stream.range();
        self.settings
            .put(Table::System, stream.key(), volume.clamp(least, most).to_string());
    }

    /// How large texts are, 1 is usual.
    pub fn font_scale(&self) -> f32 {
        let value = self
            .settings
            .get(Table::System, "font_scale")
            .and_then(|value| value.parse().ok());
        value.unwrap_or(1.0_f32).clamp(0.5, 2.0)
    }

    /// Whether an app may do something; the word is the last of the permission.
    pub fn allowed(&self, package: &str, permission: &str) -> bool {
        let known = self
            .packages
            .get(package)
            .and_then(|package| package.permissions.get(permission));
        known.copied().flatten() == Some(true)
    }

    /// Allows an app something or not; `None` asks again. `false` where it never asks for it.
    pub fn allow(&mut self, package: &str, permission: &str, allowed: Option<bool>) -> bool {
        let Some(known) = self.packages.get_mut(package) else {
            return false;
        };
        let Some(entry) = known.permissions.get_mut(permission) else {
            return false;
        };
        *entry = allowed;
        if permission == "POST_NOTIFICATIONS" {
            known.notifies = allowed != Some(false);
        }
        true
    }

    /// Asks whether an app may do something, unless that was answered.
    pub fn ask(&mut self, package: &str, permission: &str) {
        let known = self
            .packages
            .get(package)
            .and_then(|package| package.permissions.get(permission));
        if known == Some(&None) {
            self.prompt = Some(Prompt {
                package: package.to_owned(),
                permission: permission.to_owned(),
            });
        }
    }

    /// Posts a notification; one of the same package, tag and number is replaced.
    pub fn notify(&mut self, notification: Notification) {
        const MOST: usize = 50;
        let known = self.packages.get(&notification.package);
        if known.is_some_and(|package| !package.notifies) {
            return;
        }
        let same = |other: &Notification| {
            other.package == notification.package && other.tag == notification.tag && other.id == notification.id
        };
        self.notifications.retain(|other| !same(other));
        if !notification.silent && self.awake && !self.locked && !self.on(Toggle::Dnd) {
            const HEADS_UP: i64 = 5000;
            self.heads_up = Some((notification.id, self.now + HEADS_UP));
        }
        self.notifications.insert(0, notification);
        self.notifications.truncate(MOST);
    }

    /// Takes a notification away.
    pub fn dismiss(&mut self, id: u32) {
        if let Some(index) = self.notifications.iter().position(|n| n.id == id && !n.ongoing) {
            let gone = self.notifications.remove(index);
            self.dismissed.insert(0, gone);
            self.dismissed.truncate(50);
        }
        self.heads_up = self.heads_up.filter(|(shown, _)| *shown != id);
    }

    /// Opens what a notification is about.
    pub fn open_notification(&mut self, id: u32) {
        let Some(notification) = self.notifications.iter().find(|n| n.id == id).cloned() else {
            return;
        };
        if !notification.ongoing {
            self.dismiss(id);
        }
        self.shade = 0;
        self.heads_up = None;
        let class = self
            .packages
            .get(&notification.package)
            .map(|package| package.activity.clone());
        let Some(class) = class else {
            return;
        };
        if self.locked {
            self.unlock();
        }
        let mut first = super::Place::new(&class, "");
        if notification.page.is_empty() {
            self.launch(&notification.package);
            return;
        }
        first.set("tab", if notification.page == "timer" { "2" } else { "" });
        self.start(&notification.package, first);
        if notification.page != "timer" {
            self.open_about(&notification.page, &notification.about);
        }
    }

    /// Sends a text message from here.
    pub fn send_message(&mut self, address: &str, body: &str) {
        let id = self.fresh_id();
        self.messages.push(Message {
            id,
            address: address.to_owned(),
            body: body.to_owned(),
            date: self.now,
            sent: true,
            read: true,
        });
    }

    /// A text message comes in.
    pub fn receive_message(&mut self, address: &str, body: &str) {
        let id = self.fresh_id();
        self.messages.push(Message {
            id,
            address: address.to_owned(),
            body: body.to_owned(),
            date: self.now,
            sent: false,
            read: false,
        });
        let package = self.roles.get("SMS").cloned().unwrap_or_default();
        self.notify(Notification {
            id,
            tag: "sms".to_owned(),
            package,
            title: self.name_of(address),
            text: body.to_owned(),
            date: self.now,
            silent: false,
            ongoing: false,
            page: "thread".to_owned(),
            about: address.to_owned(),
        });
    }

    /// Begins a call.
    pub fn dial(&mut self, number: &str) {
        if !number.is_empty() {
            self.call = Some((number.to_owned(), self.now));
        }
    }

    /// Ends the call and writes it down.
    pub fn hang_up(&mut self) {
        if let Some((number, since)) = self.call.take() {
            let id = self.fresh_id();
            self.calls.insert(
                0,
                Call {
                    id,
                    number,
                    date: since,
                    duration: ((self.now - since) / 1000).max(0) as u32,
                    kind: 2,
                },
            );
        }
    }
}
