//! A shop: things, a cart, orders.

use super::people::search_bar;
use crate::{
    app::{App, Icon, Layer},
    draw::geom::{Color, Rect},
    state::{State, data::Info, time::Civil},
    ui::{Button, Ui, act, sp},
};

/// Its package.
pub const PACKAGE: &str = "com.example.market";

/// The shop.
pub struct Shop;

/// A thing: name, icon, price in cents, rating in tenths, text.
pub type Thing = (&'static str, &'static str, u32, u32, &'static str);

/// What there is to buy.
pub const THINGS: [Thing; 12] = [
    ("Desk lamp", "light", 2490, 45, "Warm light, three steps, metal arm."),
    (
        "Kettle 1.7 l",
        "coffee_maker",
        3290,
        43,
        "Boils in 4 minutes, switches itself off.",
    ),
    (
        "Backpack 24 l",
        "backpack",
        5450,
        47,
        "Rain cover and a pocket for a laptop.",
    ),
    ("Headphones", "headphones", 7990, 44, "Over-ear, 30 hours of battery."),
    (
        "Umbrella",
        "umbrella",
        1590,
        40,
        "Folds to 28 cm, holds in strong wind.",
    ),
    ("Football", "sports_soccer", 1890, 46, "Size 5, for grass."),
    ("Wrist watch", "watch", 8900, 42, "Steel, water resistant to 50 m."),
    ("Garden shears", "content_cut", 1275, 41, "For branches of up to 2 cm."),
    ("Camera strap", "photo_camera", 1190, 39, "Leather, adjustable."),
    ("Cook book", "menu_book", 2200, 48, "120 soups for every season."),
    ("Toy train", "train", 2750, 45, "Wooden, with four wagons."),
    ("Yoga mat", "self_improvement", 2990, 44, "6 mm thick, does not slip."),
];

impl App for Shop {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Market",
            activity: "com.example.market.MainActivity",
            permissions: &["POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0x00_796B,
            layers: &[Layer::Glyph("shopping_cart", 0xFF_FFFF, 0.56, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        match ui.place.page.as_str() {
            "thing" => thing(state, ui),
            "cart" => cart(state, ui),
            "orders" => orders(state, ui),
            _ => shelf(state, ui),
        }
    }
}

fn price(cents: u32) -> String {
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn kept<'a>(state: &'a State, key: &str) -> &'a str {
    let memory = state.packages.get(PACKAGE).and_then(|package| package.memory.get(key));
    memory.map_or("", String::as_str)
}

fn keep(state: &mut State, key: &str, value: String) {
    if let Some(package) = state.packages.get_mut(PACKAGE) {
        package.memory.insert(key.to_owned(), value);
    }
}

/// Things in the cart with how many of each.
fn lines(state: &State) -> Vec<(usize, u32)> {
    let pairs = kept(state, "cart").split(',').filter_map(|pair| pair.split_once('x'));
    let pairs = pairs.filter_map(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    pairs
        .filter(|(index, count)| *index < THINGS.len() && *count > 0)
        .collect()
}

fn change(state: &mut State, index: usize, by: i64) {
    let mut list = lines(state);
    match list.iter_mut().find(|(known, _)| *known == index) {
        Some((_, count)) => *count = (i64::from(*count) + by).clamp(0, 99) as u32,
        None if by > 0 => list.push((index, by as u32)),
        None => {}
    }
    let text: Vec<String> = list
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(index, count)| format!("{index}x{count}"))
        .collect();
    keep(state, "cart", text.join(","));
}

fn picture(ui: &mut Ui, rect: Rect, index: usize) {
    const COLORS: [u32; 4] = [0xE8_EEF7, 0xF7_EBE3, 0xE6_F2EA, 0xF3_E8F5];
    ui.fill(rect, 16.0, Color::hex(COLORS[index % 4]));
    ui.icon(THINGS[index].1, rect, rect.h * 0.5, Color::hex(0x45_464F));
}

fn cart_button(state: &State, ui: &mut Ui, x: f32, y: f32) {
    let count: u32 = lines(state).iter().map(|(_, count)| count).sum();
    ui.icon_button(x, y, "shopping_cart_o", &format!("Cart, {count} items"), |state| {
        state.open("cart")
    });
    if count > 0 {
        let badge = Rect::new(x + 26.0, y + 4.0, 18.0, 18.0);
        let color = ui.theme.error;
        ui.fill(badge, 9.0, color);
        ui.draw_text_in(badge, sp(11.0).medium().center(), Color::WHITE, &count.to_string());
    }
}

fn shelf(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let cheap = ui.place.var("sort") == "price";
    let mut found: Vec<usize> = (0..THINGS.len())
        .filter(|index| THINGS[*index].0.to_lowercase().contains(&wanted))
        .collect();
    if cheap {
        found.sort_by_key(|index| THINGS[*index].2);
    }
    if found.is_empty() {
        ui.nothing_here("search_off", "Nothing found");
    }
    let rect = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("list", rect, |ui, top| {
        let right = ui.chip(area.x + 16.0, top + 4.0, "Lowest price first", cheap, move |state| {
            state.page_mut().set("sort", if cheap { "" } else { "price" });
        });
        ui.chip(right + 8.0, top + 4.0, "Orders", false, |state| state.open("orders"));
        let width = (area.w - 44.0) / 2.0;
        for (place, index) in found.iter().enumerate() {
            let index = *index;
            let x = area.x + 16.0 + (place % 2) as f32 * (width + 12.0);
            let y = top + 48.0 + (place / 2) as f32 * (width + 84.0);
            let (name, _, cents, rating, _) = THINGS[index];
            let cell = Rect::new(x, y, width, width + 72.0);
            ui.node(cell)
                .class("android.view.ViewGroup")
                .desc(format!("{name}, {}", price(cents)))
                .tap(move |state| {
                    state.open_about("thing", index);
                });
            ui.open();
            picture(ui, Rect::new(x, y, width, width), index);
            ui.label(x + 4.0, y + width + 8.0, width, sp(15.0), theme.on_surface, name);
            ui.label(
                x + 4.0,
                y + width + 30.0,
                width,
                sp(16.0).medium(),
                theme.on_surface,
                &price(cents),
            );
            ui.label(
                x + width - 44.0,
                y + width + 32.0,
                44.0,
                sp(13.0).right(),
                theme.on_variant,
                &format!("{}.{}", rating / 10, rating % 10),
            );
            ui.close();
        }
        top + 48.0 + found.len().div_ceil(2) as f32 * (width + 84.0) + 24.0
    });
    search_bar(ui, "Search the market");
    cart_button(state, ui, area.right() - 108.0, area.y + 12.0);
}

fn thing(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let index = (ui.place.number("id").unwrap_or(0) as usize).min(THINGS.len() - 1);
    let (name, _, cents, rating, text) = THINGS[index];
    ui.top_bar("", true);
    cart_button(state, ui, area.right() - 56.0, area.y + 8.0);
    let square = Rect::new(area.x + 24.0, area.y + 72.0, area.w - 48.0, area.w - 120.0);
    picture(ui, square, index);
    let mut y = square.bottom() + 20.0;
    y += ui.label(area.x + 24.0, y, area.w - 48.0, sp(24.0), theme.on_surface, name) + 6.0;
    let stars = format!("{}.{} of 5 \u{2022} free delivery", rating / 10, rating % 10);
    y += ui.label(area.x + 24.0, y, area.w - 48.0, sp(14.0), theme.on_variant, &stars) + 10.0;
    y += ui.label(
        area.x + 24.0,
        y,
        200.0,
        sp(28.0).medium(),
        theme.on_surface,
        &price(cents),
    ) + 10.0;
    ui.label(
        area.x + 24.0,
        y,
        area.w - 48.0,
        sp(16.0).lines(4),
        theme.on_surface,
        text,
    );
    let rect = Rect::new(area.x + 24.0, area.bottom() - 64.0, area.w - 48.0, 48.0);
    ui.button(rect, Button::Filled, "Add to cart", move |state| {
        change(state, index, 1);
        state.say("Added to cart");
    });
}

fn cart(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let list = lines(state);
    let total: u32 = list.iter().map(|(index, count)| THINGS[*index].2 * count).sum();
    if list.is_empty() {
        ui.nothing_here("shopping_cart_o", "Your cart is empty");
    }
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0 - 96.0);
    ui.scroll("cart", rect, |ui, top| {
        let mut y = top;
        for (index, count) in &list {
            let (index, (name, _, cents, ..)) = (*index, THINGS[*index]);
            picture(ui, Rect::new(area.x + 16.0, y + 8.0, 72.0, 72.0), index);
            ui.label(
                area.x + 104.0,
                y + 12.0,
                area.w - 120.0,
                sp(16.0),
                theme.on_surface,
                name,
            );
            ui.label(
                area.x + 104.0,
                y + 36.0,
                120.0,
                sp(15.0).medium(),
                theme.on_surface,
                &price(cents * count),
            );
            let x = area.right() - 152.0;
            ui.icon_button(x, y + 36.0, "remove", &format!("One {name} less"), move |state| {
                change(state, index, -1)
            });
            ui.label(
                x + 48.0,
                y + 48.0,
                40.0,
                sp(16.0).center(),
                theme.on_surface,
                &count.to_string(),
            );
            ui.icon_button(x + 88.0, y + 36.0, "add", &format!("One {name} more"), move |state| {
                change(state, index, 1)
            });
            y += 96.0;
        }
        y + 16.0
    });
    ui.top_bar("Cart", true);
    let line = format!("Total {}", price(total));
    ui.label(
        area.x + 24.0,
        area.bottom() - 92.0,
        area.w - 48.0,
        sp(18.0).medium(),
        theme.on_surface,
        &line,
    );
    if !list.is_empty() {
        let rect = Rect::new(area.x + 24.0, area.bottom() - 60.0, area.w - 48.0, 48.0);
        ui.button(rect, Button::Filled, "Place order", |state| {
            state.page_mut().set("dialog", "order")
        });
    }
    if ui.place.var("dialog") == "order" {
        let yes = act(move |state: &mut State| {
            let names: Vec<String> = lines(state)
                .iter()
                .map(|(index, count)| format!("{count} x {}", THINGS[*index].0))
                .collect();
            let at = state.civil();
            let order = format!("{}|{}|{}", &at.iso()[..16], names.join(", "), price(total));
            let mut all: Vec<String> = kept(state, "orders").lines().map(str::to_owned).collect();
            all.insert(0, order);
            keep(state, "orders", all.join("\n"));
            keep(state, "cart", String::new());
            state.close_page();
            state.open("orders");
        });
        let text = format!("{} will be paid with the card ending in 4242.", price(total));
        ui.dialog(
            "Place order?",
            &text,
            &[("Cancel", act(|_: &mut State| ())), ("Buy", yes)],
        );
    }
}

fn orders(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let list: Vec<String> = kept(state, "orders").lines().map(str::to_owned).collect();
    if list.is_empty() {
        ui.nothing_here("receipt_long", "No orders yet");
    }
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    let today = Civil::new(state.local(state.now)).iso();
    ui.scroll("orders", rect, |ui, top| {
        let mut y = top + 4.0;
        for order in &list {
            let mut parts = order.split('|');
            let (at, what, sum) = (
                parts.next().unwrap_or(""),
                parts.next().unwrap_or(""),
                parts.next().unwrap_or(""),
            );
            let day = if today.starts_with(at.get(..10).unwrap_or("-")) {
                "Today"
            } else {
                at
            };
            let high = ui.measure(what, sp(15.0).lines(3), area.w - 64.0).1;
            let card = Rect::new(area.x + 16.0, y, area.w - 32.0, high + 72.0);
            ui.fill(card, 16.0, theme.container);
            ui.label(card.x + 16.0, y + 12.0, 200.0, sp(13.0), theme.on_variant, day);
            ui.label(
                card.x + 16.0,
                y + 34.0,
                card.w - 32.0,
                sp(15.0).lines(3),
                theme.on_surface,
                what,
            );
            ui.label(
                card.x + 16.0,
                y + high + 40.0,
                200.0,
                sp(15.0).medium(),
                theme.on_surface,
                sum,
            );
            y = card.bottom() + 10.0;
        }
        y + 24.0
    });
    ui.top_bar("Orders", true);
}
