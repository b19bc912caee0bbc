//! Messages: conversations, one of them, and a new one.

use super::people::{person_row, search_bar, sorted};
use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::Rect,
    state::{
        Place, State,
        data::{Info, Message},
        digits,
        time::{Civil, DAY},
    },
    ui::{FieldLook, Ui, act, sp},
};

const ACTIVITY: &str = "com.google.android.apps.messaging.ui.ConversationListActivity";

/// Messages.
pub struct Messages;

impl App for Messages {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.apps.messaging",
            label: "Messages",
            activity: ACTIVITY,
            permissions: &["READ_SMS", "READ_CONTACTS", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[Layer::Glyph("chat", 0x1A_73E8, 0.58, 0.0, 0.03)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        match ui.place.page.as_str() {
            "thread" => thread(state, ui),
            "new" => new(state, ui),
            _ => conversations(state, ui),
        }
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        let to = intent
            .data
            .split_once(':')
            .filter(|(scheme, _)| scheme.starts_with("sms"))?
            .1
            .to_owned();
        let mut place = Place::new(ACTIVITY, "thread");
        place.set("id", to);
        place.fill("body", intent.extra("sms_body").unwrap_or_default());
        let _ = state;
        Some(place)
    }
}

/// Whether two addresses are the same.
fn same(a: &str, b: &str) -> bool {
    let (x, y) = (digits(a), digits(b));
    a == b || (!x.is_empty() && x == y)
}

/// The last message of each conversation, newest first.
pub fn threads(state: &State) -> Vec<&Message> {
    let mut list: Vec<&Message> = Vec::new();
    for message in state.messages.iter().rev() {
        if !list.iter().any(|known| same(&known.address, &message.address)) {
            list.push(message);
        }
    }
    list.sort_by_key(|message| std::cmp::Reverse((message.date, message.id)));
    list
}

fn when(state: &State, date: i64) -> String {
    let days = state.local(state.now).div_euclid(DAY) - state.local(date).div_euclid(DAY);
    let at = Civil::new(state.local(date));
    match days {
        0 => state.clock_of(date),
        1..7 => at.weekday_name()[..3].to_owned(),
        _ => format!("{} {}", &at.month_name()[..3], at.day),
    }
}

fn conversations(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let list: Vec<Message> = threads(state)
        .into_iter()
        .filter(|message| {
            let name = state.name_of(&message.address).to_lowercase();
            wanted.is_empty() || name.contains(&wanted) || message.body.to_lowercase().contains(&wanted)
        })
        .cloned()
        .collect();
    if list.is_empty() {
        ui.nothing_here("chat_o", "No conversations");
    }
    let rect = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("list", rect, |ui, top| {
        let mut y = top + 4.0;
        for message in &list {
            let unread = state
                .messages
                .iter()
                .any(|other| !other.read && same(&other.address, &message.address));
            let name = state.name_of(&message.address);
            let body = if message.sent {
                format!("You: {}", message.body)
            } else {
                message.body.clone()
            };
            let (address, held) = (message.address.clone(), message.address.clone());
            let end = person_row(ui, y, &name, &body.replace('\n', " "), unread, move |state| {
                open(state, &address)
            });
            // The row itself is the parent of its texts.
            if let Some(row) = ui
                .scene
                .nodes
                .iter_mut()
                .rev()
                .find(|node| node.class == "android.view.ViewGroup")
            {
                row.long(move |state| {
                    let place = state.page_mut();
                    place.set("about", held.as_str());
                    place.set("menu", "thread");
                });
            }
            let theme = ui.theme;
            let color = if unread { theme.on_surface } else { theme.on_variant };
            ui.label(
                area.right() - 92.0,
                y + 15.0,
                76.0,
                sp(12.0).right(),
                color,
                &when(state, message.date),
            );
            if unread {
                ui.fill(Rect::new(area.right() - 26.0, y + 42.0, 10.0, 10.0), 5.0, theme.primary);
            }
            y = end;
        }
        y + 96.0
    });
    search_bar(ui, "Search conversations");
    ui.wide_fab("chat_o", "Start chat", |state| {
        state.open("new");
        state.page_mut().focus("to");
    });
    thread_menus(ui);
}

fn thread_menus(ui: &mut Ui) {
    let address = ui.place.var("about").to_owned();
    if ui.place.var("menu") == "thread" {
        let delete = act(|state: &mut State| state.page_mut().set("dialog", "delete"));
        ui.menu(ui.area.right() - 8.0, ui.area.y + 8.0, &[("Delete", delete)]);
    }
    if ui.place.var("dialog") == "delete" {
        let yes = act(move |state: &mut State| {
            state.messages.retain(|message| !same(&message.address, &address));
            if state.page().page == "thread" {
                state.close_page();
            }
        });
        let text = "This is permanent and can\u{2019}t be undone";
        ui.dialog(
            "Delete this conversation?",
            text,
            &[("Cancel", act(|_: &mut State| ())), ("Delete", yes)],
        );
    }
}

fn open(state: &mut State, address: &str) {
    state.open("thread");
    state.page_mut().set("id", address);
    state.page_mut().set("about", address);
    for message in state
        .messages
        .iter_mut()
        .filter(|message| same(&message.address, address))
    {
        message.read = true;
    }
    state
        .notifications
        .retain(|n| !(n.page == "thread" && same(&n.about, address)));
}

fn thread(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let address = ui.place.var("id").to_owned();
    let name = state.name_of(&address);
    let lines: Vec<Message> = state
        .messages
        .iter()
        .filter(|message| same(&message.address, &address))
        .cloned()
        .collect();
    let below = area.bottom() - 72.0;
    let list = Rect::new(area.x, area.y + 64.0, area.w, below - area.y - 64.0);
    let up = ui.place.offset("thread");
    let top = std::cell::Cell::new(0.0);
    ui.clipped(list, 0.0, |ui| top.set(bubbles(state, ui, list, &lines, up)));
    // The list is scrolled from its end: a finger that goes down shows what was said before.
    let room = (list.y - top.get()).max(0.0).min(up + 400.0);
    let node = ui.node(list);
    node.class("androidx.recyclerview.widget.RecyclerView")
        .id("message_list");
    node.swipe(move |state, way| {
        let place = state.page_mut();
        let now = place.offset("thread");
        let next = match way {
            crate::ui::Way::Down => (now + 240.0).min(now + room),
            crate::ui::Way::Up => now - 240.0,
            _ => return,
        };
        place.scroll.insert("thread", next.max(0.0));
    });
    ui.top_bar("", true);
    ui.avatar(Rect::new(area.x + 56.0, area.y + 14.0, 36.0, 36.0), &name);
    ui.label_in(
        Rect::new(area.x + 104.0, area.y, area.w - 220.0, 64.0),
        sp(20.0),
        theme.on_surface,
        &name,
    );
    if let Some(node) = ui.last() {
        node.id("conversation_title");
    }
    let called = address.clone();
    ui.icon_button(area.right() - 100.0, area.y + 8.0, "phone_o", "Call", move |state| {
        super::people::call(state, &called)
    });
    ui.icon_button(
        area.right() - 52.0,
        area.y + 8.0,
        "more_vert",
        "More options",
        |state| state.page_mut().set("menu", "thread"),
    );
    ui.icon(
        "add_circle_outline",
        Rect::new(area.x + 12.0, below + 12.0, 40.0, 48.0),
        24.0,
        theme.on_variant,
    );
    let pill = Rect::new(area.x + 56.0, below + 10.0, area.w - 128.0, 52.0);
    ui.fill(pill, 26.0, theme.container_high);
    let typed = ui.place.typed("body").to_owned();
    let to = address.clone();
    let look = FieldLook::new("body", "Text message")
        .style(sp(16.0))
        .submit(move |state| send(state, &to));
    ui.edit(pill.inset(20.0, 0.0), &look);
    let (icon, desc) = if typed.is_empty() {
        ("mic_none", "Record audio")
    } else {
        ("send", "Send SMS")
    };
    let round = Rect::new(area.right() - 60.0, below + 12.0, 48.0, 48.0);
    if !typed.is_empty() {
        ui.fill(round, 24.0, theme.primary_container);
    }
    ui.icon(
        icon,
        round,
        24.0,
        if typed.is_empty() {
            theme.on_variant
        } else {
            theme.on_primary_container
        },
    );
    ui.node(round)
        .class("android.widget.Button")
        .desc(desc)
        .tap(move |state| send(state, &address));
    thread_menus(ui);
}

/// The lines of a conversation, the last one at the bottom, so many dp further down; gives where the first one begins.
fn bubbles(state: &State, ui: &mut Ui, list: Rect, lines: &[Message], up: f32) -> f32 {
    let theme = ui.theme;
    let most = list.w * 0.7;
    let mut low = list.bottom() - 10.0 + up;
    for (index, message) in lines.iter().enumerate().rev() {
        let (width, height) = ui.measure(&message.body, sp(16.0).lines(30), most - 32.0);
        let rect = Rect::new(
            if message.sent {
                list.right() - 16.0 - width - 32.0
            } else {
                list.x + 16.0
            },
            low - height - 20.0,
            width + 32.0,
            height + 20.0,
        );
        let (back, front) = if message.sent {
            (theme.primary, theme.on_primary)
        } else {
            (theme.container_high, theme.on_surface)
        };
        let radii = if message.sent {
            [20.0, 20.0, 4.0, 20.0]
        } else {
            [20.0, 20.0, 20.0, 4.0]
        };
        ui.fill_corners(rect, radii, back);
        ui.label(
            rect.x + 16.0,
            rect.y + 10.0,
            width + 1.0,
            sp(16.0).lines(30),
            front,
            &message.body,
        );
        if let Some(node) = ui.last() {
            let copied = message.body.clone();
            node.id("message_text").long(move |state| {
                state.clipboard = copied.clone();
                state.say("Message copied");
            });
        }
        low = rect.y - 6.0;
        let before = index.checked_sub(1).map(|index| lines[index].date);
        if before.is_none_or(|before| message.date - before > 3_600_000) {
            let stamp = format!(
                "{} {}",
                Civil::new(state.local(message.date)).short_date(),
                state.clock_of(message.date)
            );
            low -= 30.0;
            ui.label(list.x, low + 4.0, list.w, sp(12.0).center(), theme.on_variant, &stamp);
        }
    }
    low
}

fn send(state: &mut State, address: &str) {
    let body = state.page().typed("body").trim().to_owned();
    if !body.is_empty() {
        state.send_message(address, &body);
        state.page_mut().fill("body", "");
    }
}

fn new(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let typed = ui.place.typed("to").trim().to_owned();
    let wanted = typed.to_lowercase();
    let list = Rect::new(area.x, area.y + 136.0, area.w, area.h - 136.0);
    ui.scroll("list", list, |ui, top| {
        let mut y = top;
        if digits(&typed).len() >= 3 {
            let number = typed.clone();
            y = person_row(ui, y, &format!("Send to {typed}"), "", false, move |state| {
                begin(state, &number)
            });
        }
        for contact in sorted(state) {
            if !contact.name().to_lowercase().contains(&wanted) {
                continue;
            }
            for (number, _) in &contact.phones {
                let to = number.clone();
                y = person_row(ui, y, &contact.name(), number, false, move |state| begin(state, &to));
            }
        }
        y + 24.0
    });
    ui.fill(Rect::new(0.0, area.y, area.w, 136.0), 0.0, theme.surface);
    ui.top_bar("New conversation", true);
    ui.draw_text(area.x + 20.0, area.y + 88.0, 30.0, sp(16.0), theme.on_variant, "To");
    let first = sorted(state)
        .into_iter()
        .find(|contact| !wanted.is_empty() && contact.name().to_lowercase().contains(&wanted));
    let number = first
        .and_then(|contact| contact.phones.first())
        .map_or(typed, |(number, _)| number.clone());
    let look = FieldLook::new("to", "Type names, phone numbers, or emails").submit(move |state| {
        if digits(&number).len() >= 3 {
            begin(state, &number);
        }
    });
    ui.edit(Rect::new(area.x + 56.0, area.y + 76.0, area.w - 76.0, 48.0), &look);
    ui.fill(
        Rect::new(area.x, area.y + 132.0, area.w, 1.0),
        0.0,
        theme.outline_variant,
    );
}

fn begin(state: &mut State, number: &str) {
    state.close_page();
    open(state, number);
    state.page_mut().focus("body");
}
