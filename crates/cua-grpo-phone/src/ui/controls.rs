//! Controls of Material 3: buttons, switches, sliders, chips, fields.

use super::{
    build::Ui,
    node::{Act, FieldNode, Slide},
    theme::{Type, sp},
};
use crate::{
    draw::geom::{Color, Rect},
    state::State,
};
use std::sync::Arc;

/// How much a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// Filled with the accent.
    Filled,
    /// Filled a little.
    Tonal,
    /// With an edge.
    Outlined,
    /// Its text alone.
    Text,
}

/// A text field.
pub struct FieldLook<'s> {
    /// Its name in the place.
    pub key: &'s str,
    /// What stands in it while it is empty.
    pub hint: &'s str,
    /// How its text looks.
    pub style: Type,
    /// Whether Enter begins a line.
    pub multiline: bool,
    /// What Enter does otherwise.
    pub submit: Option<Act>,
    /// Its resource id.
    pub id: &'s str,
}

impl<'s> FieldLook<'s> {
    /// A field of one line.
    pub fn new(key: &'s str, hint: &'s str) -> Self {
        Self {
            key,
            hint,
            style: sp(16.0),
            multiline: false,
            submit: None,
            id: key,
        }
    }

    /// The same with another look of its text.
    pub fn style(self, style: Type) -> Self {
        Self { style, ..self }
    }

    /// The same with more lines.
    pub fn multiline(self) -> Self {
        Self {
            multiline: true,
            ..self
        }
    }

    /// The same with what Enter does.
    pub fn submit(self, act: impl Fn(&mut State) + Send + Sync + 'static) -> Self {
        Self {
            submit: Some(Arc::new(act)),
            ..self
        }
    }
}

impl Ui<'_> {
    /// Draws a switch of 52x32 in the middle of a box.
    pub fn draw_switch(&mut self, rect: Rect, on: bool, enabled: bool) {
        let theme = self.theme;
        let track = rect.middle(52.0, 32.0);
        let (x, y) = track.center();
        let fade = |color: Color| if enabled { color } else { color.alpha(0.4) };
        if on {
            self.fill(track, 16.0, fade(theme.primary));
            self.fill(
                Rect::new(x + 10.0 - 12.0, y - 12.0, 24.0, 24.0),
                12.0,
                fade(theme.on_primary),
            );
            self.icon(
                "check",
                Rect::new(x - 2.0, y - 12.0, 24.0, 24.0),
                16.0,
                fade(theme.primary),
            );
        } else {
            self.fill(track, 16.0, theme.container_highest);
            self.stroke(track, 16.0, 2.0, fade(theme.outline));
            self.fill(Rect::new(x - 10.0 - 8.0, y - 8.0, 16.0, 16.0), 8.0, fade(theme.outline));
        }
    }

    /// Draws a radio button of 20 in the middle of a box.
    pub fn draw_radio(&mut self, rect: Rect, on: bool) {
        let color = if on { self.theme.primary } else { self.theme.on_variant };
        self.stroke(rect.middle(20.0, 20.0), 10.0, 2.0, color);
        if on {
            self.fill(rect.middle(10.0, 10.0), 5.0, color);
        }
    }

    /// Draws a check box of 18 in the middle of a box.
    pub fn draw_check(&mut self, rect: Rect, on: bool) {
        let square = rect.middle(18.0, 18.0);
        if on {
            self.fill(square, 2.0, self.theme.primary);
            self.icon("check", square, 16.0, self.theme.on_primary);
        } else {
            self.stroke(square, 2.0, 2.0, self.theme.on_variant);
        }
    }

    /// A button.
    pub fn button(&mut self, rect: Rect, kind: Button, text: &str, act: impl Fn(&mut State) + Send + Sync + 'static) {
        let theme = self.theme;
        let color = match kind {
            Button::Filled => {
                self.fill(rect, rect.h / 2.0, theme.primary);
                theme.on_primary
            }
            Button::Tonal => {
                self.fill(rect, rect.h / 2.0, theme.secondary_container);
                theme.on_secondary_container
            }
            Button::Outlined => {
                self.stroke(rect, rect.h / 2.0, 1.0, theme.outline);
                theme.primary
            }
            Button::Text => theme.primary,
        };
        self.draw_text_in(rect, sp(14.0).medium().center(), color, text);
        self.node(rect).class("android.widget.Button").text(text).tap(act);
    }

    /// A text button that ends at a right edge; gives the left edge.
    pub fn text_button(
        &mut self,
        right: f32,
        y: f32,
        text: &str,
        act: impl Fn(&mut State) + Send + Sync + 'static,
    ) -> f32 {
        let (width, _) = self.measure(text, sp(14.0).medium(), 300.0);
        let left = right - width - 24.0;
        self.button(Rect::new(left, y, width + 24.0, 40.0), Button::Text, text, act);
        left
    }

    /// An icon that can be touched, in a box of 48.
    pub fn icon_button(
        &mut self,
        x: f32,
        y: f32,
        name: &'static str,
        desc: &str,
        act: impl Fn(&mut State) + Send + Sync + 'static,
    ) {
        let rect = Rect::new(x, y, 48.0, 48.0);
        self.icon(name, rect, 24.0, self.theme.on_variant);
        self.node(rect).class("android.widget.ImageButton").desc(desc).tap(act);
    }

    /// The large button at the lower right.
    pub fn fab(&mut self, name: &'static str, desc: &str, act: impl Fn(&mut State) + Send + Sync + 'static) {
        let rect = Rect::new(self.area.right() - 72.0, self.area.bottom() - 72.0, 56.0, 56.0);
        self.fab_at(rect, 16.0, name, desc, act);
    }

    /// A large button anywhere.
    pub fn fab_at(
        &mut self,
        rect: Rect,
        radius: f32,
        name: &'static str,
        desc: &str,
        act: impl Fn(&mut State) + Send + Sync + 'static,
    ) {
        self.shadow(rect, radius, 4.0);
        self.fill(rect, radius, self.theme.primary_container);
        let size = if rect.h > 80.0 { 36.0 } else { 24.0 };
        self.icon(name, rect, size, self.theme.on_primary_container);
        self.node(rect).class("android.widget.ImageButton").desc(desc).tap(act);
    }

    /// The large button with a word.
    pub fn wide_fab(&mut self, name: &'static str, text: &str, act: impl Fn(&mut State) + Send + Sync + 'static) {
        let (width, _) = self.measure(text, sp(14.0).medium(), 200.0);
        let w = width + 64.0;
        let rect = Rect::new(self.area.right() - w - 16.0, self.area.bottom() - 72.0, w, 56.0);
        self.shadow(rect, 16.0, 4.0);
        self.fill(rect, 16.0, self.theme.primary_container);
        let color = self.theme.on_primary_container;
        self.icon(name, Rect::new(rect.x + 16.0, rect.y, 24.0, 56.0), 24.0, color);
        self.draw_text_in(
            Rect::new(rect.x + 48.0, rect.y, width, 56.0),
            sp(14.0).medium(),
            color,
            text,
        );
        self.node(rect).class("android.widget.Button").text(text).tap(act);
    }

    /// A slider of 0 to 1 across a width, its line in the middle of a height of 48.
    pub fn slider(&mut self, x: f32, y: f32, width: f32, value: f32, slide: Slide) {
        let theme = self.theme;
        let at = x + value.clamp(0.0, 1.0) * width;
        let middle = y + 24.0;
        self.fill(Rect::new(x, middle - 2.0, width, 4.0), 2.0, theme.container_highest);
        self.fill(Rect::new(x, middle - 2.0, at - x, 4.0), 2.0, theme.primary);
        self.fill(Rect::new(at - 10.0, middle - 10.0, 20.0, 20.0), 10.0, theme.primary);
        let node = self.node(Rect::new(x, y, width, 48.0));
        node.class("android.widget.SeekBar")
            .text(format!("{:.1}", value * 100.0));
        node.slide = Some(slide);
    }

    /// A chip; gives its right edge.
    pub fn chip(
        &mut self,
        x: f32,
        y: f32,
        text: &str,
        on: bool,
        act: impl Fn(&mut State) + Send + Sync + 'static,
    ) -> f32 {
        let theme = self.theme;
        let (width, _) = self.measure(text, sp(14.0).medium(), 240.0);
        let rect = Rect::new(x, y, width + if on { 48.0 } else { 32.0 }, 32.0);
        let (color, left) = if on {
            self.fill(rect, 8.0, theme.secondary_container);
            self.icon(
                "check",
                Rect::new(x + 8.0, y, 18.0, 32.0),
                18.0,
                theme.on_secondary_container,
            );
            (theme.on_secondary_container, x + 32.0)
        } else {
            self.stroke(rect, 8.0, 1.0, theme.outline_variant);
            (theme.on_variant, x + 16.0)
        };
        self.draw_text_in(Rect::new(left, y, width, 32.0), sp(14.0).medium(), color, text);
        let node = self.node(rect);
        node.class("android.widget.CompoundButton")
            .text(text)
            .check(on)
            .tap(act);
        rect.right()
    }

    /// A round picture with the first letter of a name.
    pub fn avatar(&mut self, rect: Rect, name: &str) {
        const COLORS: [u32; 8] = [
            0xA1_4E74, 0x4E_6B9E, 0x3F_7D58, 0x8A_5A2B, 0x6B_5AA8, 0x2E_7D8C, 0xA6_4B3C, 0x5F_6B3A,
        ];
        let sum: u32 = name.bytes().map(u32::from).sum();
        self.fill(rect, rect.h / 2.0, Color::hex(COLORS[sum as usize % COLORS.len()]));
        let first: String = name.chars().take(1).flat_map(char::to_uppercase).collect();
        if first.chars().all(char::is_alphabetic) && !first.is_empty() {
            self.draw_text_in(rect, sp(rect.h * 0.46).center(), Color::WHITE, &first);
        } else {
            self.icon("person", rect, rect.h * 0.6, Color::WHITE);
        }
    }

    /// The text of a field with its cursor, hint and selection, in a box; adds the node.
    pub fn edit(&mut self, rect: Rect, look: &FieldLook) {
        let theme = self.theme;
        let field = self.place.fields.get(look.key).cloned().unwrap_or_default();
        let focused = self.place.focus.as_deref() == Some(look.key);
        let style = Type {
            lines: if look.multiline { 200 } else { 1 },
            ..look.style
        };
        let line = style.line() * self.font_scale;
        let top = if look.multiline {
            rect.y
        } else {
            rect.y + (rect.h - line) / 2.0
        };
        if field.text.is_empty() {
            self.draw_text(
                rect.x,
                top,
                rect.w,
                Type { lines: 1, ..style },
                theme.on_variant,
                look.hint,
            );
        }
        let laid = self.lay(&field.text, style, rect.w);
        let k = self.frame.k;
        if let Some((start, end)) = field.selection() {
            let (a, b) = (laid.cursor(start, line * k), laid.cursor(end, line * k));
            let right = if a.1 < b.1 { rect.w } else { b.0 / k };
            let mark = Rect::new(rect.x + a.0 / k, top + a.1 / k, right - a.0 / k, line);
            self.fill(mark, 0.0, theme.primary.alpha(0.3));
        }
        if !field.text.is_empty() {
            self.draw_text(rect.x, top, rect.w, style, theme.on_surface, &field.text);
        }
        if focused && field.selection().is_none() {
            let at = laid.cursor(field.cursor, line * k);
            let x = rect.x + (at.0 / k).min(rect.w);
            self.fill(Rect::new(x, top + at.1 / k, 2.0, line), 0.0, theme.primary);
        }
        let (window, key) = (self.current_window(), look.key.to_owned());
        let (multiline, submit) = (look.multiline, look.submit.clone());
        let selected = field.selection().is_some();
        let id = look.id.to_owned();
        let node = self.node(rect);
        node.class("android.widget.EditText").id(&id);
        node.text(if field.text.is_empty() {
            look.hint.to_owned()
        } else {
            field.text
        });
        node.focused = focused;
        node.field = Some(FieldNode {
            key: key.clone(),
            window,
            multiline,
            submit,
        });
        node.long(move |state| {
            state.place_mut(window).focus(&key);
            state.keyboard.hidden = false;
            state.select_word();
            state.place_mut(window).set("menu", "selection");
        });
        if focused && self.place.var("menu") == "selection" {
            self.selection_bar(rect, selected);
        }
    }

    /// Cut, copy, paste and select all, above a field.
    fn selection_bar(&mut self, field: Rect, selected: bool) {
        let words: &[&'static str] = if selected {
            &["Cut", "Copy", "Paste", "Select all"]
        } else {
            &["Paste", "Select all"]
        };
        let widths: Vec<f32> = words
            .iter()
            .map(|word| self.measure(word, sp(14.0).medium(), 200.0).0 + 24.0)
            .collect();
        let whole: f32 = widths.iter().sum::<f32>() + 16.0;
        let y = if field.y > self.area.y + 60.0 {
            field.y - 56.0
        } else {
            field.bottom() + 8.0
        };
        let rect = Rect::new((self.screen.w - whole) / 2.0, y, whole, 48.0);
        self.shadow(rect, 24.0, 4.0);
        self.fill(rect, 24.0, self.theme.container_high);
        let mut x = rect.x + 8.0;
        let window = self.current_window();
        for (word, width) in words.iter().zip(widths) {
            let part = Rect::new(x, y, width, 48.0);
            let (word, color) = (*word, self.theme.on_surface);
            self.draw_text_in(part, sp(14.0).medium().center(), color, word);
            let node = self.node(part);
            node.class("android.widget.TextView")
                .text(word)
                .desc(word)
                .tap(move |state| {
                    match word {
                        "Cut" => state.copy(true),
                        "Copy" => state.copy(false),
                        "Paste" => state.paste(),
                        _ => {
                            state.select_all();
                            return;
                        }
                    }
                    state.place_mut(window).set("menu", "");
                });
            x += width;
        }
    }

    /// A field in a filled box with its label above the text.
    pub fn filled_field(&mut self, rect: Rect, label: &str, look: &FieldLook) {
        let theme = self.theme;
        let focused = self.place.focus.as_deref() == Some(look.key);
        let empty = self.place.typed(look.key).is_empty();
        self.fill_corners(rect, [4.0, 4.0, 0.0, 0.0], theme.container_highest);
        let (edge, height) = if focused {
            (theme.primary, 2.0)
        } else {
            (theme.on_variant, 1.0)
        };
        self.fill(Rect::new(rect.x, rect.bottom() - height, rect.w, height), 0.0, edge);
        let inner = if focused || !empty {
            self.draw_text(rect.x + 16.0, rect.y + 8.0, rect.w - 32.0, sp(12.0), edge, label);
            Rect::new(rect.x + 16.0, rect.y + 22.0, rect.w - 32.0, rect.h - 28.0)
        } else {
            rect.inset(16.0, 4.0)
        };
        let hint = if focused || !empty { "" } else { label };
        let look = FieldLook {
            key: look.key,
            hint,
            style: look.style,
            multiline: look.multiline,
            submit: look.submit.clone(),
            id: look.id,
        };
        self.edit(inner, &look);
        let whole = self.px(rect.clip(self.clip.rect));
        let label = label.to_owned();
        if let Some(node) = self.scene.nodes.iter_mut().rev().find(|node| node.field.is_some()) {
            node.rect = whole;
            if node.text.is_empty() {
                node.text(label);
            }
        }
    }
}
