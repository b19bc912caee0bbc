//! A way through the phone: what each picture shows, and how to get there by touches.

use cua_grpo_phone::{
    Key, Phone,
    state::{Display, Toggle},
};

/// Touches what has a text or a description; what is not there is an error of the tour.
fn touch(phone: &mut Phone, words: &str) {
    for _ in 0..6 {
        let scene = phone.scene();
        let node = scene.nodes[scene.modal..].iter().rev().find(|node| {
            let said = node.text == words || node.desc == words;
            said && node.rect.bottom() < phone.state().display.height as f32 * 0.98
        });
        if let Some(node) = node {
            let (x, y) = node.rect.center();
            phone.tap(x, y);
            return;
        }
        let (w, h) = (phone.state().display.width as f32, phone.state().display.height as f32);
        phone.swipe((w / 2.0, h * 0.75), (w / 2.0, h * 0.4), 1200);
        phone.settle();
    }
    panic!("the tour found no {words:?} on the screen");
}

fn type_keys(phone: &mut Phone, text: &str) {
    for letter in text.chars() {
        let key = if letter == ' ' {
            "Space".to_owned()
        } else {
            letter.to_string()
        };
        touch(phone, &key);
    }
}

/// Names and phones.
pub fn screens(display: Display) -> Vec<(&'static str, Phone)> {
    let mut list = Vec::new();
    let mut add = |name: &'static str, seed: u64, dark: bool, go: &dyn Fn(&mut Phone)| {
        let mut phone = Phone::new(seed, display);
        phone.state_mut().turn(Toggle::Dark, dark);
        go(&mut phone);
        phone.settle();
        list.push((name, phone));
    };
    let up = |phone: &mut Phone| {
        let (w, h) = (phone.state().display.width as f32, phone.state().display.height as f32);
        phone.swipe((w / 2.0, h * 0.6), (w / 2.0, h * 0.2), 300);
    };
    let down = |phone: &mut Phone| {
        let (w, h) = (phone.state().display.width as f32, phone.state().display.height as f32);
        phone.swipe((w / 2.0, 4.0), (w / 2.0, h * 0.5), 300);
    };
    let open = |package: &'static str| move |phone: &mut Phone| phone.state_mut().launch(package);
    add("home", 1, false, &|_| ());
    add("drawer", 1, false, &up);
    add("shade", 8, false, &down);
    add("quick-settings", 5, true, &|phone| {
        down(phone);
        down(phone);
    });
    add("lock", 3, false, &|phone| {
        phone.key(Key::Power);
        phone.key(Key::Power);
    });
    add("recents", 2, false, &|phone| {
        open("com.google.android.calendar")(phone);
        open("com.android.settings")(phone);
        phone.key(Key::Overview);
    });
    add("settings", 1, false, &open("com.android.settings"));
    add("settings-network", 1, false, &|phone| {
        open("com.android.settings")(phone);
        touch(phone, "Network & internet");
    });
    add("settings-display", 2, true, &|phone| {
        open("com.android.settings")(phone);
        touch(phone, "Display");
    });
    add("settings-sound", 4, false, &|phone| {
        open("com.android.settings")(phone);
        touch(phone, "Sound & vibration");
    });
    add("settings-timeout", 4, false, &|phone| {
        open("com.android.settings")(phone);
        touch(phone, "Display");
        touch(phone, "Screen timeout");
    });
    add("settings-app-info", 4, false, &|phone| {
        open("com.android.settings")(phone);
        touch(phone, "Apps");
        touch(phone, "Settings");
    });
    add("clock-alarms", 1, false, &|phone| {
        open("com.google.android.deskclock")(phone);
    });
    add("clock-picker", 3, false, &|phone| {
        open("com.google.android.deskclock")(phone);
        touch(phone, "Add alarm");
    });
    add("clock-timer", 3, true, &|phone| {
        open("com.google.android.deskclock")(phone);
        touch(phone, "Timer");
        for key in ["1", "5", "0", "0"] {
            touch(phone, key);
        }
    });
    add("calculator", 3, false, &|phone| {
        open("com.google.android.calculator")(phone);
        for key in ["1", "2", "8", "multiply", "7", "."] {
            touch(phone, key);
        }
        touch(phone, "5");
    });
    add("contacts", 3, false, &open("com.google.android.contacts"));
    add("contact-form", 3, false, &|phone| {
        open("com.google.android.contacts")(phone);
        touch(phone, "Create contact");
        phone.type_text("Nora", false);
    });
    add("dialer-pad", 3, false, &|phone| {
        open("com.google.android.dialer")(phone);
        touch(phone, "key pad");
        for key in ["5,JKL", "5,JKL", "5,JKL", "0,+", "1"] {
            touch(phone, key);
        }
    });
    add("messages", 3, false, &open("com.google.android.apps.messaging"));
    add("message-typing", 5, false, &|phone| {
        open("com.google.android.apps.messaging")(phone);
        let scene = phone.scene();
        let row = scene
            .nodes
            .iter()
            .find(|node| node.class == "android.view.ViewGroup" && node.tap.is_some());
        if let Some((x, y)) = row.map(|node| node.rect.center()) {
            phone.tap(x, y);
        }
        touch(phone, "Text message");
        type_keys(phone, "See you at");
    });
    add("notes", 7, false, &open("com.google.android.keep"));
    add("calendar", 2, false, &open("com.google.android.calendar"));
    add("calendar-form", 2, false, &|phone| {
        open("com.google.android.calendar")(phone);
        touch(phone, "Create new event");
        phone.key(Key::Back);
    });
    add("files", 2, false, &open("com.google.android.documentsui"));
    add("photos", 2, false, &open("com.google.android.apps.photos"));
    add("camera", 2, false, &open("com.google.android.GoogleCamera"));
    add("permission", 2, false, &|phone| {
        phone
            .state_mut()
            .allow("com.google.android.GoogleCamera", "CAMERA", None);
        open("com.google.android.GoogleCamera")(phone);
        touch(phone, "Take photo");
    });
    add("mail", 2, false, &open("com.google.android.gm"));
    add("music", 2, true, &|phone| {
        open("com.google.android.apps.youtube.music")(phone);
        touch(phone, "Paper Boats, Nina Falk");
    });
    add("maps", 2, false, &|phone| {
        open("com.google.android.apps.maps")(phone);
        touch(phone, "City Library");
        touch(phone, "Directions");
    });
    add("shop", 2, false, &open("com.example.market"));
    add("browser", 2, false, &open("com.android.chrome"));
    list
}
