//! Gmail: the inbox, a mail, and a new one.

use super::people::search_bar;
use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::Rect,
    state::{
        Place, State,
        data::{Info, Mail},
        time::{Civil, DAY},
    },
    ui::{FieldLook, Ui, act, sp},
};

const ACTIVITY: &str = "com.google.android.gm.ConversationListActivityGmail";

/// Gmail.
pub struct Gmail;

impl App for Gmail {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.gm",
            label: "Gmail",
            activity: ACTIVITY,
            permissions: &["READ_CONTACTS", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[Layer::Glyph("mail", 0xD9_3025, 0.58, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        match ui.place.page.as_str() {
            "mail" => reader(state, ui),
            "compose" => compose(ui),
            _ => inbox(state, ui),
        }
    }

    fn intent(&self, _state: &mut State, intent: &Intent) -> Option<Place> {
        let to = intent.data.strip_prefix("mailto:")?;
        let mut place = Place::new(ACTIVITY, "compose");
        place.fill("to", to);
        Some(place)
    }
}

fn when(state: &State, date: i64) -> String {
    let days = state.local(state.now).div_euclid(DAY) - state.local(date).div_euclid(DAY);
    let at = Civil::new(state.local(date));
    if days == 0 {
        state.clock_of(date)
    } else {
        format!("{} {}", &at.month_name()[..3], at.day)
    }
}

fn inbox(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let folder = ui.place.var("folder").to_owned();
    let holds = |mail: &&Mail| {
        let text = format!("{} {} {}", mail.who, mail.subject, mail.body).to_lowercase();
        mail.folder() == folder && text.contains(&wanted)
    };
    let list: Vec<Mail> = state.mails.iter().filter(holds).cloned().collect();
    if list.is_empty() {
        ui.nothing_here("inbox_o", "Nothing in here");
    }
    let rect = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("list", rect, |ui, top| {
        let title = if folder.is_empty() { "Primary" } else { &folder };
        ui.label(
            area.x + 16.0,
            top + 6.0,
            200.0,
            sp(13.0).medium(),
            theme.on_variant,
            title,
        );
        list.iter().fold(top + 32.0, |y, mail| row(state, ui, y, mail)) + 96.0
    });
    search_bar(ui, "Search in mail");
    ui.icon_button(area.right() - 108.0, area.y + 12.0, "folder_o", "Folders", |state| {
        state.page_mut().set("menu", "folders");
    });
    ui.wide_fab("edit_o", "Compose", |state| {
        state.open("compose");
        state.page_mut().focus("to");
    });
    if ui.place.var("menu") == "folders" {
        let to = |name: &'static str| act(move |state: &mut State| state.page_mut().set("folder", name));
        let items = [("Inbox", to("")), ("Sent", to("Sent")), ("Archive", to("Archive"))];
        ui.menu(area.right() - 8.0, area.y + 8.0, &items);
    }
}

fn row(state: &State, ui: &mut Ui, y: f32, mail: &Mail) -> f32 {
    let (area, theme) = (ui.area, ui.theme);
    let rect = Rect::new(area.x, y, area.w, 88.0);
    let id = mail.id;
    let spoken = format!(
        "{}{}, {}",
        if mail.read { "" } else { "Unread, " },
        mail.who,
        mail.subject
    );
    let node = ui.node(rect);
    node.class("android.view.ViewGroup").desc(spoken);
    node.tap(move |state| {
        if let Some(mail) = state.mails.iter_mut().find(|mail| mail.id == id) {
            mail.read = true;
        }
        state.open_about("mail", id);
    });
    node.swipe(move |state, way| {
        if matches!(way, crate::ui::Way::Left | crate::ui::Way::Right) {
            archive(state, id);
        }
    });
    ui.open();
    ui.avatar(Rect::new(area.x + 16.0, y + 14.0, 40.0, 40.0), &mail.who);
    let strong = |style: crate::ui::Type| if mail.read { style } else { style.medium() };
    let color = if mail.read { theme.on_variant } else { theme.on_surface };
    let width = area.w - 72.0 - 90.0;
    ui.label(area.x + 72.0, y + 10.0, width, strong(sp(16.0)), color, &mail.who);
    ui.label(
        area.right() - 92.0,
        y + 13.0,
        76.0,
        strong(sp(12.0)).right(),
        color,
        &when(state, mail.date),
    );
    ui.label(
        area.x + 72.0,
        y + 33.0,
        width + 30.0,
        strong(sp(14.0)),
        color,
        &mail.subject,
    );
    let first = mail.body.lines().next().unwrap_or_default();
    ui.label(area.x + 72.0, y + 53.0, width + 30.0, sp(14.0), theme.on_variant, first);
    ui.close();
    let (icon, desc) = if mail.starred {
        ("star", "Remove star")
    } else {
        ("star_border", "Add star")
    };
    ui.icon_button(area.right() - 56.0, y + 38.0, icon, desc, move |state| star(state, id));
    y + 88.0
}

fn star(state: &mut State, id: u32) {
    if let Some(mail) = state.mails.iter_mut().find(|mail| mail.id == id) {
        mail.starred = !mail.starred;
    }
}

fn archive(state: &mut State, id: u32) {
    if let Some(mail) = state.mails.iter_mut().find(|mail| mail.id == id) {
        mail.archived = true;
        state.say("1 archived");
    }
}

fn reader(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let id = ui.place.number("id").unwrap_or(0) as u32;
    let Some(mail) = state.mails.iter().find(|mail| mail.id == id).cloned() else {
        ui.top_bar("", true);
        ui.nothing_here("mail_o", "This mail is gone");
        return;
    };
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0 - 72.0);
    ui.scroll("mail", rect, |ui, top| {
        let width = area.w - 40.0;
        let mut y = top + 8.0;
        y += ui.label(
            area.x + 20.0,
            y,
            width,
            sp(22.0).lines(3),
            theme.on_surface,
            &mail.subject,
        ) + 18.0;
        ui.avatar(Rect::new(area.x + 20.0, y, 40.0, 40.0), &mail.who);
        ui.label(
            area.x + 72.0,
            y,
            width - 120.0,
            sp(15.0).medium(),
            theme.on_surface,
            &mail.who,
        );
        let line = if mail.sent {
            format!("to {}", mail.address)
        } else {
            mail.address.clone()
        };
        ui.label(area.x + 72.0, y + 22.0, width - 60.0, sp(13.0), theme.on_variant, &line);
        ui.label(
            area.right() - 100.0,
            y + 2.0,
            84.0,
            sp(12.0).right(),
            theme.on_variant,
            &when(state, mail.date),
        );
        y += 60.0;
        y + ui.label(
            area.x + 20.0,
            y,
            width,
            sp(16.0).lines(60),
            theme.on_surface,
            &mail.body,
        ) + 24.0
    });
    ui.top_bar("", true);
    let y = area.y + 8.0;
    ui.icon_button(area.right() - 152.0, y, "archive_o", "Archive", move |state| {
        archive(state, id);
        state.close_page();
    });
    ui.icon_button(area.right() - 104.0, y, "delete_o", "Delete", move |state| {
        state.mails.retain(|mail| mail.id != id);
        state.close_page();
        state.say("1 deleted");
    });
    let (icon, desc) = if mail.starred {
        ("star", "Remove star")
    } else {
        ("star_border", "Add star")
    };
    ui.icon_button(area.right() - 56.0, y, icon, desc, move |state| star(state, id));
    for (index, word) in ["Reply", "Forward"].into_iter().enumerate() {
        let width = (area.w - 48.0) / 2.0;
        let rect = Rect::new(
            area.x + 16.0 + index as f32 * (width + 16.0),
            area.bottom() - 60.0,
            width,
            48.0,
        );
        let mail = mail.clone();
        ui.button(rect, crate::ui::Button::Outlined, word, move |state| {
            state.open("compose");
            let place = state.page_mut();
            if index == 0 {
                place.fill("to", mail.address.as_str());
                place.fill("subject", format!("Re: {}", mail.subject));
                place.focus("body");
            } else {
                place.fill("subject", format!("Fwd: {}", mail.subject));
                place.fill(
                    "body",
                    format!("\n---------- Forwarded message ---------\n{}", mail.body),
                );
                place.focus("to");
            }
        });
    }
}

fn compose(ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let mut y = area.y + 64.0;
    ui.draw_text(area.x + 20.0, y + 17.0, 60.0, sp(15.0), theme.on_variant, "From");
    ui.label(
        area.x + 84.0,
        y + 16.0,
        area.w - 100.0,
        sp(16.0),
        theme.on_surface,
        "alex@example.com",
    );
    y += 54.0;
    for (key, hint, next) in [("to", "To", "subject"), ("subject", "Subject", "body")] {
        ui.fill(Rect::new(area.x, y, area.w, 1.0), 0.0, theme.outline_variant);
        let look = FieldLook::new(key, hint).submit(move |state| state.page_mut().focus(next));
        ui.edit(Rect::new(area.x + 20.0, y, area.w - 40.0, 54.0), &look);
        y += 54.0;
    }
    ui.fill(Rect::new(area.x, y, area.w, 1.0), 0.0, theme.outline_variant);
    let body = Rect::new(
        area.x + 20.0,
        y + 14.0,
        area.w - 40.0,
        (area.bottom() - y - 20.0).max(60.0),
    );
    ui.edit(body, &FieldLook::new("body", "Compose email").multiline());
    ui.top_bar("Compose", true);
    ui.icon_button(area.right() - 56.0, area.y + 8.0, "send", "Send", |state| {
        let place = state.page().clone();
        let to = place.typed("to").trim().to_owned();
        if !to.contains('@') {
            state.say("Add at least one recipient");
            return;
        }
        let mail = Mail {
            id: state.fresh_id(),
            who: format!("To: {to}"),
            address: to,
            subject: place.typed("subject").to_owned(),
            body: place.typed("body").to_owned(),
            date: state.now,
            read: true,
            sent: true,
            starred: false,
            archived: false,
        };
        state.mails.insert(0, mail);
        state.close_page();
        state.say("Sent");
    });
}
