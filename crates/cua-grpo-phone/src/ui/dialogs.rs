//! What lies above a page: dialogs, menus, sheets.

use super::{build::Ui, controls::FieldLook, node::Act, theme::sp};
use crate::{
    draw::{geom::Color, geom::Rect},
    state::State,
};

/// A button of a dialog: its word and what it does before the dialog closes.
pub type Choice<'s> = (&'s str, Act);

impl Ui<'_> {
    /// Darkens everything below; a touch outside closes what is open.
    pub fn scrim(&mut self) {
        self.fill(self.screen, 0.0, Color::BLACK.alpha(0.42));
        self.modal();
        let window = self.current_window();
        let node = self.node(self.screen);
        node.id("touch_outside").tap(move |state| {
            state.place_mut(window).close_over();
        });
    }

    fn card(&mut self, height: f32) -> Rect {
        let width = (self.screen.w - 56.0).min(340.0);
        let space = self.area;
        let rect = Rect::new(
            (self.screen.w - width) / 2.0,
            (space.y + (space.h - height) / 2.0).max(space.y),
            width,
            height,
        );
        self.fill(rect, 28.0, self.theme.container_high);
        // Touches on the card do not reach what is outside.
        self.node(rect)
            .class("android.widget.FrameLayout")
            .id("android:id/content")
            .tap(|_| ());
        self.open();
        rect
    }

    fn choices(&mut self, rect: Rect, choices: &[Choice]) {
        let mut right = rect.right() - 16.0;
        let window = self.current_window();
        for (word, act) in choices.iter().rev() {
            let act = act.clone();
            right = self.text_button(right, rect.bottom() - 52.0, word, move |state| {
                state.place_mut(window).close_over();
                act(state);
            }) - 4.0;
        }
    }

    /// A question with buttons; the last one stands at the right.
    pub fn dialog(&mut self, title: &str, text: &str, choices: &[Choice]) {
        self.scrim();
        let width = (self.screen.w - 56.0).min(340.0) - 48.0;
        let title_height = if title.is_empty() {
            0.0
        } else {
            self.measure(title, sp(24.0).lines(3), width).1 + 16.0
        };
        let text_height = if text.is_empty() {
            0.0
        } else {
            self.measure(text, sp(14.0).lines(12), width).1
        };
        let rect = self.card(24.0 + title_height + text_height + 24.0 + 52.0);
        let mut y = rect.y + 24.0;
        if !title.is_empty() {
            self.label(rect.x + 24.0, y, width, sp(24.0).lines(3), self.theme.on_surface, title);
            y += title_height;
        }
        if !text.is_empty() {
            self.label(rect.x + 24.0, y, width, sp(14.0).lines(12), self.theme.on_variant, text);
            if let Some(node) = self.last() {
                node.id("android:id/message");
            }
        }
        self.choices(rect, choices);
        self.close();
    }

    /// A dialog with a field; `accept` is what its right button does.
    pub fn field_dialog(&mut self, title: &str, look: &FieldLook, word: &str, accept: Act) {
        self.scrim();
        let rect = self.card(24.0 + 48.0 + 56.0 + 24.0 + 52.0);
        let width = rect.w - 48.0;
        self.label(
            rect.x + 24.0,
            rect.y + 24.0,
            width,
            sp(24.0),
            self.theme.on_surface,
            title,
        );
        self.filled_field(Rect::new(rect.x + 24.0, rect.y + 72.0, width, 56.0), look.hint, look);
        self.choices(
            rect,
            &[("Cancel", std::sync::Arc::new(|_: &mut State| ())), (word, accept)],
        );
        self.close();
    }

    /// A choice of one among several; each closes the dialog.
    pub fn radio_dialog(&mut self, title: &str, options: &[(String, bool, Act)]) {
        self.scrim();
        let most = ((self.area.h - 180.0) / 52.0).floor().max(2.0);
        let shown = (options.len() as f32).min(most);
        let list = shown * 52.0;
        let rect = self.card(24.0 + 48.0 + list + 8.0 + 52.0);
        self.label(
            rect.x + 24.0,
            rect.y + 24.0,
            rect.w - 48.0,
            sp(24.0),
            self.theme.on_surface,
            title,
        );
        let window = self.current_window();
        let body = Rect::new(rect.x, rect.y + 72.0, rect.w, list);
        let options = options.to_vec();
        self.scroll("dialog", body, |ui, top| {
            for (index, (word, on, act)) in options.iter().enumerate() {
                let row = Rect::new(rect.x, top + index as f32 * 52.0, rect.w, 52.0);
                ui.draw_radio(Rect::new(row.x + 24.0, row.y, 24.0, 52.0), *on);
                let color = ui.theme.on_surface;
                ui.draw_text_in(
                    Rect::new(row.x + 68.0, row.y, row.w - 92.0, 52.0),
                    sp(16.0),
                    color,
                    word,
                );
                let act = act.clone();
                let node = ui.node(row);
                node.class("android.widget.CheckedTextView")
                    .id("android:id/text1")
                    .text(word.clone())
                    .check(*on);
                node.tap(move |state| {
                    state.place_mut(window).close_over();
                    act(state);
                });
            }
            top + options.len() as f32 * 52.0
        });
        self.choices(rect, &[("Cancel", std::sync::Arc::new(|_: &mut State| ()))]);
        self.close();
    }

    /// A menu that hangs from a corner at the upper right.
    pub fn menu(&mut self, right: f32, y: f32, items: &[(&str, Act)]) {
        self.modal();
        let window = self.current_window();
        self.node(self.screen).id("touch_outside").tap(move |state| {
            state.place_mut(window).close_over();
        });
        let widest = items
            .iter()
            .map(|(word, _)| self.measure(word, sp(16.0), 260.0).0)
            .fold(112.0, f32::max);
        let rect = Rect::new(
            right - widest - 48.0,
            y,
            widest + 48.0,
            items.len() as f32 * 48.0 + 16.0,
        );
        self.shadow(rect, 8.0, 3.0);
        self.fill(rect, 8.0, self.theme.container);
        self.node(rect).class("android.widget.ListView").tap(|_| ());
        self.open();
        for (index, (word, act)) in items.iter().enumerate() {
            let row = Rect::new(rect.x, rect.y + 8.0 + index as f32 * 48.0, rect.w, 48.0);
            let color = self.theme.on_surface;
            self.draw_text_in(row.inset(16.0, 0.0), sp(16.0), color, word);
            let act = act.clone();
            self.node(row)
                .class("android.widget.TextView")
                .id("android:id/title")
                .text(*word)
                .tap(move |state| {
                    state.place_mut(window).close_over();
                    act(state);
                });
        }
        self.close();
    }

    /// Says in the middle of a page that it has nothing in it.
    pub fn nothing_here(&mut self, icon: &'static str, text: &str) {
        let theme = self.theme;
        let (x, y) = self.area.center();
        let circle = Rect::new(x - 48.0, y - 96.0, 96.0, 96.0);
        self.fill(circle, 48.0, theme.container);
        self.icon(icon, circle, 40.0, theme.on_variant);
        self.label(
            self.area.x + 32.0,
            y + 16.0,
            self.area.w - 64.0,
            sp(16.0).center().lines(3),
            theme.on_variant,
            text,
        );
    }
}

/// What a button does, for lists of choices.
pub fn act(act: impl Fn(&mut State) + Send + Sync + 'static) -> Act {
    std::sync::Arc::new(act)
}
