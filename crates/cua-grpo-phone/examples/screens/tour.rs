//! A way through the phone: what each picture shows, and how to get there.

use cua_grpo_phone::{
    Phone,
    state::{Display, Place, State, Toggle},
};

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
    let app = |package: &'static str| move |phone: &mut Phone| phone.state_mut().launch(package);
    add("home", 1, false, &|_| ());
    add("drawer", 1, false, &|phone| phone.state_mut().place_mut(cua_grpo_phone::state::Window::Home).set("drawer", "1"));
    add("shade", 5, false, &|phone| phone.state_mut().pull_shade(1));
    add("quick-settings", 5, true, &|phone| phone.state_mut().pull_shade(2));
    add("lock", 3, false, &|phone| {
        phone.state_mut().sleep();
        phone.state_mut().wake();
    });
    add("settings", 1, false, &app("com.android.settings"));
    add("recents", 2, false, &|phone| {
        phone.state_mut().launch("com.android.settings");
        phone.state_mut().overview();
    });
    list
}
