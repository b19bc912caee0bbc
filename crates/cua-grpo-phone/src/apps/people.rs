//! What apps about people share: lists, rows, calling and texting.

use crate::{
    draw::geom::Rect,
    state::{Place, State, data::Contact},
    ui::{FieldLook, Ui, sp},
};

/// People by name.
pub fn sorted(state: &State) -> Vec<&Contact> {
    let mut list: Vec<&Contact> = state.contacts.iter().collect();
    list.sort_by_key(|contact| (contact.name().to_lowercase(), contact.id));
    list
}

/// A search bar in the form of a pill; gives its lower edge.
pub fn search_bar(ui: &mut Ui, hint: &str) -> f32 {
    let (area, theme) = (ui.area, ui.theme);
    ui.fill(Rect::new(0.0, 0.0, ui.screen.w, area.y + 72.0), 0.0, theme.surface);
    let bar = Rect::new(area.x + 16.0, area.y + 8.0, area.w - 32.0, 56.0);
    ui.fill(bar, 28.0, theme.container_high);
    ui.icon(
        "search",
        Rect::new(bar.x + 16.0, bar.y, 24.0, bar.h),
        24.0,
        theme.on_variant,
    );
    let look = FieldLook::new("search", hint)
        .style(sp(16.0))
        .submit(|state| state.keyboard.hidden = true);
    ui.edit(Rect::new(bar.x + 56.0, bar.y, bar.w - 112.0, bar.h), &look);
    if ui.place.typed("search").is_empty() {
        ui.avatar(Rect::new(bar.right() - 44.0, bar.y + 12.0, 32.0, 32.0), "Alex");
    } else {
        ui.icon_button(bar.right() - 52.0, bar.y + 4.0, "close", "Clear search", |state| {
            state.page_mut().fill("search", "")
        });
    }
    bar.bottom() + 8.0
}

/// A row with a round picture, a name and a line below; gives its lower edge.
pub fn person_row(
    ui: &mut Ui,
    y: f32,
    name: &str,
    below: &str,
    bold: bool,
    act: impl Fn(&mut State) + Send + Sync + 'static,
) -> f32 {
    let (area, theme) = (ui.area, ui.theme);
    let height = if below.is_empty() { 60.0 } else { 72.0 };
    let rect = Rect::new(area.x, y, area.w, height);
    ui.node(rect).class("android.view.ViewGroup").tap(act);
    ui.open();
    ui.avatar(Rect::new(area.x + 16.0, y + height / 2.0 - 20.0, 40.0, 40.0), name);
    let style = if bold { sp(16.0).medium() } else { sp(16.0) };
    let width = area.w - 72.0 - 76.0;
    if below.is_empty() {
        ui.label_in(
            Rect::new(area.x + 72.0, y, width, height),
            style,
            theme.on_surface,
            name,
        );
    } else {
        ui.label(area.x + 72.0, y + 13.0, width, style, theme.on_surface, name);
        let style = if bold { sp(14.0).medium() } else { sp(14.0) };
        ui.label(
            area.x + 72.0,
            y + 37.0,
            width,
            style,
            if bold { theme.on_surface } else { theme.on_variant },
            below,
        );
    }
    ui.close();
    y + height
}

/// The word of a kind of number.
pub fn kind_word(kind: u8) -> &'static str {
    match kind {
        1 => "Home",
        3 => "Work",
        _ => "Mobile",
    }
}

/// Begins a call in the dialer.
pub fn call(state: &mut State, number: &str) {
    if number.is_empty() {
        return;
    }
    let package = state.roles.get("DIALER").cloned().unwrap_or_default();
    state.dial(number);
    state.launch(&package);
}

/// Opens the conversation with a number.
pub fn text(state: &mut State, number: &str) {
    let package = state.roles.get("SMS").cloned().unwrap_or_default();
    let class = state
        .packages
        .get(&package)
        .map(|known| known.activity.clone())
        .unwrap_or_default();
    state.start(&package, Place::new(&class, ""));
    state.open("thread");
    state.page_mut().set("id", number);
}
