//! A phone at birth: what it has inside follows from its seed.

use super::{
    Battery, Call, Contact, Device, Display, Event, LAUNCHER, Message, Network, Note, Notification, Package, State,
    Stopwatch, Timer,
    data::{Alarm, File, Info, Mail},
    dice::Dice,
    seed_data::{COMPANIES, EVENTS, FILES, FIRST, LAST, MAILS, NETWORKS, NOTES, TALKS},
    seed_settings,
    time::{Civil, DAY, MINUTE},
};
use crate::draw::emblem::Icon;
use std::collections::BTreeMap;

/// A phone whose looks and contents follow from `seed`, with these apps.
pub fn birth(seed: u64, display: Display, apps: &[(Info, Icon)]) -> State {
    let mut dice = Dice(seed ^ 0x005E_ED0F);
    let day = 14 + dice.below(60) as i64;
    let now = Civil::ms(2025, 3, 1, 8, 0) + day * DAY + dice.below(13 * 60) as i64 * MINUTE + 7000;
    let mut state = State {
        seed,
        physical: display,
        display,
        now,
        booted: now - 3_600_000 - dice.below(90_000) as i64 * 1000,
        settings: seed_settings::settings(&mut dice),
        props: seed_settings::props(&mut dice, display),
        packages: packages(&mut dice, apps),
        roles: seed_settings::roles(),
        battery: Battery {
            level: 35 + dice.below(66) as u32,
            plugged: dice.chance(50),
            held: false,
        },
        networks: Vec::new(),
        devices: Vec::new(),
        notifications: Vec::new(),
        dismissed: Vec::new(),
        contacts: Vec::new(),
        messages: Vec::new(),
        mails: Vec::new(),
        calls: Vec::new(),
        call: None,
        alarms: Vec::new(),
        cities: vec!["Europe/London".to_owned(), "Asia/Tokyo".to_owned()],
        timer: Timer::default(),
        stopwatch: Stopwatch::default(),
        notes: Vec::new(),
        calendars: vec![(1, "Personal".to_owned()), (2, "Work".to_owned())],
        events: Vec::new(),
        files: super::files::Files::default(),
        clipboard: String::new(),
        home: home(&mut dice, apps),
        pin: String::new(),
        lock_enabled: true,
        awake: true,
        locked: false,
        tasks: Vec::new(),
        in_app: false,
        recents: false,
        shade: 0,
        places: BTreeMap::new(),
        keyboard: super::Keyboard::default(),
        toast: None,
        heads_up: None,
        volume_panel: None,
        prompt: None,
        fling: None,
        touched: now,
        next_id: 100,
    };
    people(&mut dice, &mut state);
    things(&mut dice, &mut state);
    surroundings(&mut dice, &mut state);
    state
}

fn packages(dice: &mut Dice, apps: &[(Info, Icon)]) -> BTreeMap<String, Package> {
    apps.iter()
        .map(|(info, icon)| {
            let permissions = info
                .permissions
                .iter()
                .map(|permission| (*permission, Some(true)))
                .collect();
            let package = Package {
                label: info.label.into(),
                activity: info.activity.into(),
                classes: Vec::new(),
                version: "14.2".to_owned(),
                apk: format!("/data/app/~~h==/{0}-h==/base.apk", info.package),
                icon: *icon,
                system: true,
                permissions,
                notifies: true,
                stopped: false,
                size: (
                    8_000_000 + dice.below(180_000_000) as u64,
                    50_000 + dice.below(60_000_000) as u64,
                ),
                memory: BTreeMap::new(),
            };
            (info.package.to_owned(), package)
        })
        .collect()
}

/// Two pages of icons and the dock, which is the last list.
fn home(dice: &mut Dice, apps: &[(Info, Icon)]) -> Vec<Vec<String>> {
    let dock = [
        "com.google.android.dialer",
        "com.google.android.apps.messaging",
        "com.android.chrome",
        "com.google.android.GoogleCamera",
    ];
    let mut rest: Vec<String> = apps
        .iter()
        .filter(|(info, _)| !info.activity.is_empty() && info.package != LAUNCHER && !dock.contains(&info.package))
        .map(|(info, _)| info.package.to_owned())
        .collect();
    dice.shuffle(&mut rest);
    let first = rest.split_off(rest.len().saturating_sub(8));
    let second = rest.into_iter().take(3 + dice.below(4)).collect();
    let mut dock: Vec<String> = dock
        .iter()
        .filter(|package| apps.iter().any(|(info, _)| info.package == **package))
        .map(|package| (*package).to_owned())
        .collect();
    if dock.is_empty() {
        dock.push("com.android.settings".to_owned());
    }
    vec![first, second, dock]
}

fn number(dice: &mut Dice) -> String {
    format!("(555) {:03}-{:04}", 100 + dice.below(900), dice.below(10_000))
}

fn people(dice: &mut Dice, state: &mut State) {
    let (mut first, mut last) = (FIRST, LAST);
    dice.shuffle(&mut first);
    dice.shuffle(&mut last);
    let count = 9 + dice.below(8);
    for index in 0..count {
        let id = state.fresh_id();
        let mut phones = vec![(number(dice), 2)];
        if dice.chance(20) {
            phones.push((number(dice), if dice.chance(50) { 3 } else { 1 }));
        }
        let company = (*dice.pick(&COMPANIES)).to_owned();
        let email = if dice.chance(50) {
            format!("{}.{}@example.com", first[index], last[index]).to_lowercase()
        } else {
            String::new()
        };
        state.contacts.push(Contact {
            id,
            first: first[index].to_owned(),
            last: last[index].to_owned(),
            phones,
            email,
            company,
            starred: dice.chance(20),
        });
    }
    let mut talks = TALKS;
    dice.shuffle(&mut talks);
    let threads = 5 + dice.below(3);
    for (index, talk) in talks.iter().take(threads).enumerate() {
        let automatic = talk[0].contains("STOP") || talk[0].contains("code is");
        let address = if automatic {
            (20_000 + dice.below(70_000)).to_string()
        } else {
            state.contacts[index % count].phones[0].0.clone()
        };
        let mut date = state.now - (index as i64 * 20 + 2 + dice.below(18) as i64) * 3_600_000;
        let unread = dice.chance(35);
        for (line, body) in talk.iter().enumerate() {
            let id = state.fresh_id();
            date += (1 + dice.below(9) as i64) * MINUTE;
            let sent = line % 2 == 1;
            let last = line + 1 == talk.len();
            state.messages.push(Message {
                id,
                address: address.clone(),
                body: (*body).to_owned(),
                date,
                sent,
                read: sent || !(last && unread),
            });
        }
    }
    state.messages.sort_by_key(|message| message.date);
    let mut date = state.now;
    for _ in 0..6 + dice.below(5) {
        date -= (20 + dice.below(1400) as i64) * MINUTE;
        let id = state.fresh_id();
        let known = dice.chance(80);
        let number = if known {
            let who = dice.below(state.contacts.len());
            state.contacts[who].phones[0].0.clone()
        } else {
            number(dice)
        };
        let kind = 1 + dice.below(3) as u8;
        let duration = if kind == 3 { 0 } else { 5 + dice.below(1200) as u32 };
        state.calls.push(Call {
            id,
            number,
            date,
            duration,
            kind,
        });
    }
}

fn mails(dice: &mut Dice, state: &mut State) {
    let mut list = MAILS;
    dice.shuffle(&mut list);
    let mut date = state.now;
    for (who, address, subject, body) in list.iter().take(6 + dice.below(4)) {
        date -= (40 + dice.below(1500) as i64) * MINUTE;
        let id = state.fresh_id();
        state.mails.push(Mail {
            id,
            who: (*who).to_owned(),
            address: (*address).to_owned(),
            subject: (*subject).to_owned(),
            body: (*body).to_owned(),
            date,
            read: dice.chance(60),
            sent: false,
            starred: dice.chance(15),
            archived: false,
        });
    }
}

fn things(dice: &mut Dice, state: &mut State) {
    mails(dice, state);
    let labels = ["", "", "Work", "Gym", "Medicine", "School run"];
    let days = [0_u8, 0b001_1111, 0, 0b110_0000, 0b010_1010];
    for _ in 0..2 + dice.below(3) {
        let id = state.fresh_id();
        let alarm = Alarm {
            id,
            hour: 5 + dice.below(17) as u32,
            minute: 5 * dice.below(12) as u32,
            enabled: dice.chance(50),
            days: *dice.pick(&days),
            label: (*dice.pick(&labels)).to_owned(),
            vibrate: true,
        };
        if !state
            .alarms
            .iter()
            .any(|other| (other.hour, other.minute) == (alarm.hour, alarm.minute))
        {
            state.alarms.push(alarm);
        }
    }
    state.alarms.sort_by_key(|alarm| (alarm.hour, alarm.minute));
    let mut notes = NOTES;
    dice.shuffle(&mut notes);
    for (title, body) in notes.iter().take(4 + dice.below(4)) {
        let id = state.fresh_id();
        let changed = state.now - dice.below(30 * 24 * 60) as i64 * MINUTE;
        state.notes.push(Note {
            id,
            title: (*title).to_owned(),
            body: (*body).to_owned(),
            color: dice.below(5) as u8,
            changed,
            ..Note::default()
        });
    }
    state.notes.sort_by_key(|note| std::cmp::Reverse(note.changed));
    let mut events = EVENTS;
    dice.shuffle(&mut events);
    let midnight = state.now - state.now.rem_euclid(DAY);
    for (title, place, minutes) in events.iter().take(6 + dice.below(4)) {
        let id = state.fresh_id();
        let start = midnight + (dice.below(16) as i64 - 3) * DAY + (8 * 2 + dice.below(22)) as i64 * 30 * MINUTE;
        state.events.push(Event {
            id,
            title: (*title).to_owned(),
            start,
            end: start + i64::from(*minutes) * MINUTE,
            place: (*place).to_owned(),
            calendar: 1 + dice.below(2) as u32,
            ..Event::default()
        });
    }
    state.events.sort_by_key(|event| event.start);
    files(dice, state);
}

fn files(dice: &mut Dice, state: &mut State) {
    for name in [
        "",
        "/Alarms",
        "/DCIM",
        "/DCIM/Camera",
        "/Documents",
        "/Download",
        "/Movies",
        "/Music",
        "/Notifications",
        "/Pictures",
        "/Podcasts",
        "/Recordings",
        "/Ringtones",
        "/Android",
        "/Audiobooks",
    ] {
        state.files.insert(format!("/sdcard{name}"), File::folder(state.booted));
    }
    let mut list = FILES;
    dice.shuffle(&mut list);
    for (place, name, text) in list.iter().take(6 + dice.below(4)) {
        let changed = state.now - dice.below(40 * 24 * 60) as i64 * MINUTE;
        let large = !name.ends_with("txt") && !name.ends_with("csv");
        let size = if large {
            40_000 + dice.below(9_000_000) as u64
        } else {
            text.len() as u64
        };
        let file = File {
            content: Some(text.as_bytes().into()),
            size,
            changed,
            picture: None,
            favorite: false,
        };
        state.files.insert(format!("/sdcard/{place}/{name}"), file);
    }
    for _ in 0..5 + dice.below(6) {
        let changed = state.now - dice.below(60 * 24 * 60) as i64 * MINUTE;
        let at = Civil::new(changed);
        let name = format!(
            "PXL_{:04}{:02}{:02}_{:02}{:02}{:02}{:03}.jpg",
            at.year,
            at.month,
            at.day,
            at.hour,
            at.minute,
            at.second,
            dice.below(1000)
        );
        let file = File {
            content: Some(Vec::new().into()),
            size: 1_200_000 + dice.below(4_000_000) as u64,
            changed,
            picture: Some(dice.below(1000) as u32),
            favorite: dice.chance(15),
        };
        state.files.insert(format!("/sdcard/DCIM/Camera/{name}"), file);
    }
}

fn surroundings(dice: &mut Dice, state: &mut State) {
    let mut names = NETWORKS;
    dice.shuffle(&mut names);
    for (index, name) in names.iter().take(5 + dice.below(3)).enumerate() {
        state.networks.push(Network {
            ssid: (*name).to_owned(),
            secured: !name.contains("Guest") && !name.contains("Coffee"),
            saved: index < 1 + dice.below(2),
            level: (4 - index.min(3)) as u8,
        });
    }
    state.props.insert("wifi.ssid".to_owned(), names[0].to_owned());
    state.devices.push(Device {
        name: "Pixel Buds A-Series".to_owned(),
        icon: "headphones",
        connected: false,
    });
    if dice.chance(50) {
        state.devices.push(Device {
            name: "Living room speaker".to_owned(),
            icon: "speaker",
            connected: false,
        });
    }
    let unread = state.messages.iter().rev().find(|message| !message.read).cloned();
    let mut list = Vec::new();
    if let Some(message) = unread {
        list.push((
            "com.google.android.apps.messaging",
            state.name_of(&message.address),
            message.body,
            "thread",
            message.address,
            false,
        ));
    }
    if let Some(call) = state.calls.iter().find(|call| call.kind == 3) {
        let who = state.name_of(&call.number);
        list.push((
            "com.google.android.dialer",
            "Missed call".to_owned(),
            who,
            "",
            String::new(),
            false,
        ));
    }
    if dice.chance(60) {
        let text = "Tap to see what's new in this update".to_owned();
        list.push((
            "com.android.settings",
            "System update ready".to_owned(),
            text,
            "update",
            String::new(),
            true,
        ));
    }
    for (index, (package, title, text, page, about, silent)) in list.into_iter().enumerate() {
        let id = state.fresh_id();
        if !state.packages.contains_key(package) {
            continue;
        }
        state.notifications.push(Notification {
            id,
            tag: String::new(),
            package: package.to_owned(),
            title,
            text,
            date: state.now - (index as i64 * 41 + 3 + dice.below(30) as i64) * MINUTE,
            silent,
            ongoing: false,
            page: page.to_owned(),
            about,
        });
    }
}
