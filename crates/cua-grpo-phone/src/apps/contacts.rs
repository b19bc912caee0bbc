//! Contacts: the list, a person, and the form.

use super::people::{call, kind_word, person_row, search_bar, sorted, text};
use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::Rect,
    state::{
        Place, State,
        data::{Contact, Info},
    },
    ui::{FieldLook, Ui, act, sp},
};

/// The package.
pub const PACKAGE: &str = "com.google.android.contacts";
const ACTIVITY: &str = "com.android.contacts.activities.PeopleActivity";

/// Contacts.
pub struct Contacts;

impl App for Contacts {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Contacts",
            activity: ACTIVITY,
            permissions: &["READ_CONTACTS", "CALL_PHONE", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0x1A_73E8,
            layers: &[Layer::Glyph("person", 0xFF_FFFF, 0.62, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        match ui.place.page.as_str() {
            "person" => person(state, ui),
            "form" => form(ui),
            _ => list(state, ui),
        }
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        let action = intent.action.rsplit('.').next().unwrap_or_default();
        if action != "INSERT" {
            return None;
        }
        let mut place = Place::new("com.android.contacts.activities.ContactEditorActivity", "form");
        let name = intent.extra("name").unwrap_or_default();
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        place.fill("first", first);
        place.fill("last", last);
        place.fill("phone", intent.extra("phone").unwrap_or_default());
        let _ = state;
        Some(place)
    }
}

fn list(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let people: Vec<Contact> = sorted(state)
        .into_iter()
        .filter(|contact| {
            let number = contact.phones.iter().any(|(number, _)| number.contains(&wanted));
            wanted.is_empty() || contact.name().to_lowercase().contains(&wanted) || number
        })
        .cloned()
        .collect();
    let rect = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("list", rect, |ui, top| {
        let count = format!("{} contacts", people.len());
        ui.label(area.x + 24.0, top + 8.0, 240.0, sp(14.0), ui.theme.on_variant, &count);
        let mut y = top + 36.0;
        let mut letter = String::new();
        for contact in &people {
            let name = contact.name();
            let first: String = name.chars().take(1).flat_map(char::to_uppercase).collect();
            if first != letter {
                ui.label(
                    area.x + 24.0,
                    y + 8.0,
                    30.0,
                    sp(14.0).medium(),
                    ui.theme.primary,
                    &first,
                );
                y += 32.0;
                letter = first;
            }
            let id = contact.id;
            y = person_row(ui, y, &name, "", false, move |state| state.open_about("person", id));
        }
        y + 96.0
    });
    search_bar(ui, "Search contacts");
    ui.fab("add", "Create contact", |state| {
        state.open("form");
        state.page_mut().focus("first");
    });
}

fn person(state: &State, ui: &mut Ui) {
    let id = ui.place.number("id").unwrap_or(0) as u32;
    let Some(contact) = state.contacts.iter().find(|contact| contact.id == id).cloned() else {
        ui.top_bar("", true);
        ui.nothing_here("person_off", "This contact is gone");
        return;
    };
    let (area, theme) = (ui.area, ui.theme);
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    let shown = contact.clone();
    ui.scroll("list", rect, |ui, top| {
        let name = shown.name();
        ui.avatar(Rect::new(area.x + area.w / 2.0 - 64.0, top + 8.0, 128.0, 128.0), &name);
        ui.label(area.x, top + 150.0, area.w, sp(28.0).center(), theme.on_surface, &name);
        if let Some(node) = ui.last() {
            node.id("large_title");
        }
        if !shown.company.is_empty() {
            ui.label(
                area.x,
                top + 188.0,
                area.w,
                sp(14.0).center(),
                theme.on_variant,
                &shown.company,
            );
        }
        deeds(ui, top + 220.0, &shown);
        let mut y = top + 310.0;
        let lines = shown.phones.len() + usize::from(!shown.email.is_empty());
        let card = Rect::new(area.x + 16.0, y, area.w - 32.0, 52.0 + lines as f32 * 68.0);
        ui.fill(card, 20.0, theme.container);
        ui.label(
            card.x + 16.0,
            y + 16.0,
            200.0,
            sp(15.0).medium(),
            theme.on_surface,
            "Contact info",
        );
        y += 46.0;
        for (number, kind) in &shown.phones {
            let called = number.clone();
            let row = Rect::new(card.x, y, card.w, 68.0);
            ui.icon(
                "phone_o",
                Rect::new(row.x + 16.0, y, 24.0, 68.0),
                24.0,
                theme.on_variant,
            );
            ui.node(row)
                .class("android.view.ViewGroup")
                .desc(format!("Call {} {number}", kind_word(*kind)))
                .tap(move |state| call(state, &called));
            ui.open();
            ui.label(
                row.x + 56.0,
                y + 14.0,
                row.w - 110.0,
                sp(16.0),
                theme.on_surface,
                number,
            );
            ui.label(
                row.x + 56.0,
                y + 38.0,
                row.w - 110.0,
                sp(14.0),
                theme.on_variant,
                kind_word(*kind),
            );
            ui.close();
            let written = number.clone();
            ui.icon_button(row.right() - 52.0, y + 10.0, "chat_o", "Text", move |state| {
                text(state, &written)
            });
            y += 68.0;
        }
        if !shown.email.is_empty() {
            ui.icon(
                "mail_o",
                Rect::new(card.x + 16.0, y, 24.0, 68.0),
                24.0,
                theme.on_variant,
            );
            ui.label(
                card.x + 56.0,
                y + 14.0,
                card.w - 72.0,
                sp(16.0),
                theme.on_surface,
                &shown.email,
            );
            ui.label(card.x + 56.0, y + 38.0, 200.0, sp(14.0), theme.on_variant, "Home");
        }
        card.bottom() + 24.0
    });
    ui.top_bar("", true);
    let y = area.y + 8.0;
    let edited = contact.clone();
    ui.icon_button(area.right() - 148.0, y, "edit_o", "Edit contact", move |state| {
        edit(state, &edited)
    });
    let (star, desc) = if contact.starred {
        ("star", "Remove from favorites")
    } else {
        ("star_border", "Add to favorites")
    };
    ui.icon_button(area.right() - 100.0, y, star, desc, move |state| {
        if let Some(contact) = state.contacts.iter_mut().find(|contact| contact.id == id) {
            contact.starred = !contact.starred;
        }
    });
    ui.icon_button(area.right() - 52.0, y, "more_vert", "More options", |state| {
        state.page_mut().set("menu", "more")
    });
    if ui.place.var("menu") == "more" {
        let delete = act(|state: &mut State| state.page_mut().set("dialog", "delete"));
        ui.menu(
            area.right() - 8.0,
            y,
            &[
                ("Delete", delete),
                ("Share", act(|state: &mut State| state.say("Nothing to share with"))),
            ],
        );
    }
    if ui.place.var("dialog") == "delete" {
        let yes = act(move |state: &mut State| {
            state.contacts.retain(|contact| contact.id != id);
            state.close_page();
            state.say("Contact deleted");
        });
        let text = "This contact will be permanently deleted from your device";
        ui.dialog(
            "Delete contact?",
            text,
            &[("Cancel", act(|_: &mut State| ())), ("Delete", yes)],
        );
    }
}

fn deeds(ui: &mut Ui, y: f32, contact: &Contact) {
    let theme = ui.theme;
    let number = contact
        .phones
        .first()
        .map(|(number, _)| number.clone())
        .unwrap_or_default();
    let words: [(&'static str, &str); 3] = [("phone_o", "Call"), ("chat_o", "Text"), ("videocam_o", "Video")];
    let width = ui.area.w / 3.0;
    for (index, (icon, word)) in words.into_iter().enumerate() {
        let cell = Rect::new(ui.area.x + index as f32 * width, y, width, 76.0);
        let round = Rect::new(cell.center().0 - 24.0, y, 48.0, 48.0);
        ui.fill(round, 24.0, theme.secondary_container);
        ui.icon(icon, round, 22.0, theme.on_secondary_container);
        ui.draw_text(cell.x, y + 54.0, width, sp(13.0).center(), theme.on_surface, word);
        let number = number.clone();
        ui.node(cell)
            .class("android.widget.Button")
            .text(word)
            .tap(move |state| match index {
                0 => call(state, &number),
                1 => text(state, &number),
                _ => state.say("Video calling is not available"),
            });
    }
}

fn edit(state: &mut State, contact: &Contact) {
    state.open("form");
    let place = state.page_mut();
    place.set("id", contact.id.to_string());
    place.fill("first", contact.first.as_str());
    place.fill("last", contact.last.as_str());
    place.fill("company", contact.company.as_str());
    place.fill("email", contact.email.as_str());
    if let Some((number, kind)) = contact.phones.first() {
        place.fill("phone", number.as_str());
        place.set("kind", kind.to_string());
    }
}

fn form(ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let known = ui.place.number("id");
    let kind = ui.place.number("kind").unwrap_or(2) as u8;
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("form", rect, |ui, top| {
        let circle = Rect::new(area.x + area.w / 2.0 - 48.0, top + 8.0, 96.0, 96.0);
        ui.fill(circle, 48.0, theme.primary_container);
        ui.icon("add_photo_alternate_o", circle, 36.0, theme.on_primary_container);
        let mut y = top + 120.0;
        let fields = [
            ("first", "First name"),
            ("last", "Last name"),
            ("company", "Company"),
            ("phone", "Phone"),
            ("email", "Email"),
        ];
        for (key, label) in fields {
            let width = area.w - 48.0 - if key == "phone" { 124.0 } else { 0.0 };
            ui.filled_field(
                Rect::new(area.x + 24.0, y, width, 56.0),
                label,
                &FieldLook::new(key, label),
            );
            if key == "phone" {
                let box_ = Rect::new(area.right() - 140.0, y, 116.0, 56.0);
                ui.stroke(box_, 4.0, 1.0, theme.outline);
                ui.draw_text_in(
                    Rect::new(box_.x + 14.0, y, 70.0, 56.0),
                    sp(15.0),
                    theme.on_surface,
                    kind_word(kind),
                );
                ui.icon(
                    "arrow_drop_down",
                    Rect::new(box_.right() - 36.0, y, 28.0, 56.0),
                    24.0,
                    theme.on_variant,
                );
                ui.node(box_)
                    .class("android.widget.Spinner")
                    .text(kind_word(kind))
                    .desc("Label")
                    .tap(|state| state.page_mut().set("menu", "kind"));
            }
            y += 68.0;
        }
        y + 24.0
    });
    ui.top_bar(
        if known.is_some() {
            "Edit contact"
        } else {
            "Create contact"
        },
        true,
    );
    let save = Rect::new(area.right() - 92.0, area.y + 12.0, 76.0, 40.0);
    ui.button(save, crate::ui::Button::Filled, "Save", save_form);
    if ui.place.var("menu") == "kind" {
        let item = |kind: u8| act(move |state: &mut State| state.page_mut().set("kind", kind.to_string()));
        ui.menu(
            area.right() - 24.0,
            area.y + 330.0,
            &[("Home", item(1)), ("Mobile", item(2)), ("Work", item(3))],
        );
    }
}

fn save_form(state: &mut State) {
    let place = state.page().clone();
    let typed = |key: &str| place.typed(key).trim().to_owned();
    let (first, last, number) = (typed("first"), typed("last"), typed("phone"));
    if first.is_empty() && last.is_empty() && number.is_empty() {
        state.say("Nothing to save. Contact discarded.");
        state.close_page();
        return;
    }
    let kind = place.number("kind").unwrap_or(2) as u8;
    let known = place.number("id").map(|id| id as u32);
    let id = known.unwrap_or_else(|| state.fresh_id());
    let mut contact = state
        .contacts
        .iter()
        .find(|contact| contact.id == id)
        .cloned()
        .unwrap_or_default();
    contact.id = id;
    (contact.first, contact.last) = (first, last);
    (contact.company, contact.email) = (typed("company"), typed("email"));
    match contact.phones.first_mut() {
        Some(entry) if !number.is_empty() => *entry = (number, kind),
        Some(_) => drop(contact.phones.remove(0)),
        None if !number.is_empty() => contact.phones.push((number, kind)),
        None => {}
    }
    state.contacts.retain(|other| other.id != id);
    state.contacts.push(contact);
    state.contacts.sort_by_key(|contact| contact.id);
    state.close_page();
    if known.is_none() {
        state.open_about("person", id);
    }
    state.say("Contact saved");
}
