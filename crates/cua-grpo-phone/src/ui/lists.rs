//! Rows, bars and pages: how Android's own apps are put together.

use super::{
    build::Ui,
    node::{Act, Slide},
    theme::sp,
};
use crate::{
    draw::geom::{Color, Rect},
    state::State,
};
use std::sync::Arc;

/// What stands at the right of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Nothing.
    None,
    /// A switch.
    Switch(bool),
    /// A radio button, which stands at the left.
    Radio(bool),
    /// A check box.
    Check(bool),
    /// An icon.
    Icon(&'static str),
    /// A switch of its own behind a line: it opens nothing.
    Split(bool),
}

/// A row of a list.
pub struct Row<'s> {
    /// Its icon.
    pub icon: Option<&'static str>,
    /// Its title.
    pub title: &'s str,
    /// What stands below, or nothing.
    pub summary: &'s str,
    /// What stands at the right.
    pub end: End,
    /// Whether it can be touched.
    pub enabled: bool,
    /// Size of the title in sp.
    pub size: f32,
    /// Whether the title begins where others have icons.
    pub flush: bool,
    /// What a touch does.
    pub tap: Option<Act>,
    /// What a touch on the switch of its own does.
    pub end_tap: Option<Act>,
}

impl<'s> Row<'s> {
    /// A row with a title.
    pub fn new(title: &'s str) -> Self {
        Self {
            icon: None,
            title,
            summary: "",
            end: End::None,
            enabled: true,
            size: 18.0,
            flush: true,
            tap: None,
            end_tap: None,
        }
    }

    /// The same with an icon.
    pub fn icon(self, icon: &'static str) -> Self {
        Self {
            icon: Some(icon),
            ..self
        }
    }

    /// The same with a text below.
    pub fn summary(self, summary: &'s str) -> Self {
        Self { summary, ..self }
    }

    /// The same with something at the right.
    pub fn end(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// The same with its title where others have theirs behind icons.
    pub fn indented(self) -> Self {
        Self { flush: false, ..self }
    }

    /// The same, which can be touched or not.
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// The same with what a touch does.
    pub fn tap(self, act: impl Fn(&mut State) + Send + Sync + 'static) -> Self {
        Self {
            tap: Some(Arc::new(act)),
            ..self
        }
    }

    /// The same with what a touch on its own switch does.
    pub fn end_tap(self, act: impl Fn(&mut State) + Send + Sync + 'static) -> Self {
        Self {
            end_tap: Some(Arc::new(act)),
            ..self
        }
    }
}

impl Ui<'_> {
    /// A row at a height; gives its lower edge.
    pub fn row(&mut self, y: f32, row: Row) -> f32 {
        let theme = self.theme;
        let (left, right) = (self.area.x, self.area.right());
        let radio = matches!(row.end, End::Radio(_));
        let text_x = left
            + if row.icon.is_some() || radio || !row.flush {
                72.0
            } else {
                24.0
            };
        let room = match row.end {
            End::Switch(_) => 92.0,
            End::Split(_) => 108.0,
            End::Check(_) | End::Icon(_) => 72.0,
            End::None | End::Radio(_) => 24.0,
        };
        let width = right - room - text_x;
        let (title, summary) = (sp(row.size).lines(2), sp(14.0).lines(5));
        let title_height = self.measure(row.title, title, width).1;
        let summary_height = if row.summary.is_empty() {
            0.0
        } else {
            self.measure(row.summary, summary, width).1
        };
        let height = (title_height + summary_height + 32.0).max(if radio { 56.0 } else { 60.0 });
        let rect = Rect::new(left, y, right - left, height);
        let dim = |color: Color| if row.enabled { color } else { color.alpha(0.38) };
        let tap = row.tap.clone();
        let node = self.node(rect);
        node.class("android.widget.LinearLayout").disable(!row.enabled);
        node.tap = tap;
        self.open();
        if let Some(icon) = row.icon {
            self.icon(
                icon,
                Rect::new(left + 24.0, y, 24.0, height),
                24.0,
                dim(theme.on_variant),
            );
        }
        let top = y + (height - title_height - summary_height) / 2.0;
        self.label(text_x, top, width, title, dim(theme.on_surface), row.title);
        if let Some(node) = self.last() {
            node.id("android:id/title");
        }
        if !row.summary.is_empty() {
            self.label(
                text_x,
                top + title_height,
                width,
                summary,
                dim(theme.on_variant),
                row.summary,
            );
            if let Some(node) = self.last() {
                node.id("android:id/summary");
            }
        }
        let end = Rect::new(right - 76.0, y, 52.0, height);
        match row.end {
            End::Switch(on) | End::Split(on) => {
                self.draw_switch(end, on, row.enabled);
                if matches!(row.end, End::Split(_)) {
                    let x = right - 92.0;
                    self.fill(
                        Rect::new(x, y + height / 2.0 - 16.0, 1.0, 32.0),
                        0.0,
                        theme.outline_variant,
                    );
                }
                let own = row.end_tap.clone();
                let part = if own.is_some() {
                    end.middle(76.0, height)
                } else {
                    end.middle(52.0, 32.0)
                };
                let node = self.node(part);
                node.class("android.widget.Switch")
                    .id("android:id/switch_widget")
                    .check(on);
                node.tap = own;
            }
            End::Radio(on) => {
                let part = Rect::new(left + 24.0, y, 24.0, height);
                self.draw_radio(part, on);
                let node = self.node(part.middle(20.0, 20.0));
                node.class("android.widget.RadioButton")
                    .id("android:id/checkbox")
                    .check(on);
            }
            End::Check(on) => {
                self.draw_check(end, on);
                let node = self.node(end.middle(20.0, 20.0));
                node.class("android.widget.CheckBox")
                    .id("android:id/checkbox")
                    .check(on);
            }
            End::Icon(name) => {
                self.icon(name, end, 24.0, theme.on_variant);
                if let Some(own) = row.end_tap.clone() {
                    let node = self.node(end.middle(48.0, 48.0));
                    node.class("android.widget.ImageView").desc("Settings");
                    node.tap = Some(own);
                }
            }
            End::None => {}
        }
        self.close();
        y + height
    }

    /// The name of a group of rows; gives its lower edge.
    pub fn category(&mut self, y: f32, title: &str) -> f32 {
        let x = self.area.x + 24.0;
        self.label(
            x,
            y + 20.0,
            self.area.w - 48.0,
            sp(14.0).medium(),
            self.theme.primary,
            title,
        );
        if let Some(node) = self.last() {
            node.id("android:id/title");
        }
        y + 46.0
    }

    /// A text across the page; gives its lower edge.
    pub fn paragraph(&mut self, y: f32, text: &str) -> f32 {
        let x = self.area.x + 24.0;
        let style = sp(14.0).lines(12);
        y + 12.0 + self.label(x, y + 12.0, self.area.w - 48.0, style, self.theme.on_variant, text) + 12.0
    }

    /// A row with a slider; gives its lower edge.
    pub fn slider_row(&mut self, y: f32, icon: Option<&'static str>, title: &str, value: f32, slide: Slide) -> f32 {
        let x = self.area.x + if icon.is_some() { 72.0 } else { 24.0 };
        self.node(Rect::new(self.area.x, y, self.area.w, 88.0))
            .class("android.widget.LinearLayout");
        self.open();
        if let Some(icon) = icon {
            self.icon(
                icon,
                Rect::new(self.area.x + 24.0, y + 4.0, 24.0, 88.0),
                24.0,
                self.theme.on_variant,
            );
        }
        self.label(
            x,
            y + 12.0,
            self.area.right() - x - 24.0,
            sp(18.0),
            self.theme.on_surface,
            title,
        );
        if let Some(node) = self.last() {
            node.id("android:id/title");
        }
        self.slider(x + 4.0, y + 38.0, self.area.right() - x - 32.0, value, slide);
        if let Some(node) = self.last() {
            node.id("android:id/seekbar").desc(title);
        }
        self.close();
        y + 88.0
    }

    /// The large switch at the top of a page; gives its lower edge.
    pub fn main_switch(
        &mut self,
        y: f32,
        title: &str,
        on: bool,
        act: impl Fn(&mut State) + Send + Sync + 'static,
    ) -> f32 {
        let rect = Rect::new(self.area.x + 16.0, y + 8.0, self.area.w - 32.0, 72.0);
        let theme = self.theme;
        let (back, front) = if on {
            (theme.primary_container, theme.on_primary_container)
        } else {
            (theme.container_highest, theme.on_surface)
        };
        self.fill(rect, 36.0, back);
        self.node(rect)
            .class("android.widget.LinearLayout")
            .id("main_switch_bar")
            .tap(act);
        self.open();
        self.label_in(
            Rect::new(rect.x + 24.0, rect.y, rect.w - 120.0, rect.h),
            sp(18.0),
            front,
            title,
        );
        if let Some(node) = self.last() {
            node.id("switch_text");
        }
        let end = Rect::new(rect.right() - 76.0, rect.y, 52.0, rect.h);
        self.draw_switch(end, on, true);
        self.node(end.middle(52.0, 32.0))
            .class("android.widget.Switch")
            .id("android:id/switch_widget")
            .check(on);
        self.close();
        rect.bottom() + 12.0
    }

    /// A page whose large title shrinks into the bar as it is scrolled.
    pub fn collapsing(&mut self, title: &str, mut build: impl FnMut(&mut Self, f32) -> f32) {
        const TALL: f32 = 118.0;
        const BAR: f32 = 56.0;
        let (area, theme) = (self.area, self.theme);
        let gone = self.place.offset("list");
        let t = (gone / TALL).clamp(0.0, 1.0);
        let list = Rect::new(area.x, area.y + BAR, area.w, area.h - BAR);
        self.scroll("list", list, |ui, top| build(ui, top + TALL) + 24.0);
        let offset = self.scene.nodes.iter().rev().find_map(|node| node.scroll.as_ref());
        let t = offset.map_or(t, |scroll| (scroll.offset / TALL).clamp(0.0, 1.0));
        let back = if t >= 1.0 { theme.container } else { theme.surface };
        self.fill(Rect::new(area.x, 0.0, area.w, area.y + BAR), 0.0, back);
        self.icon_button(
            area.x + 4.0,
            area.y + 4.0,
            "arrow_back",
            "Navigate up",
            State::close_page,
        );
        let size = 36.0 + (20.0 - 36.0) * t;
        let x = area.x + 24.0 + 40.0 * t;
        let y = area.y + BAR + TALL - 66.0 - (TALL - 66.0 + BAR - 15.0) * t;
        self.label(x, y, area.right() - x - 24.0, sp(size), theme.on_surface, title);
        if let Some(node) = self.last() {
            node.id("collapsing_toolbar").desc(title);
        }
    }

    /// A bar with a title and an arrow that closes the page; gives its lower edge.
    pub fn top_bar(&mut self, title: &str, back: bool) -> f32 {
        let (area, theme) = (self.area, self.theme);
        self.fill(Rect::new(0.0, 0.0, area.w, area.y + 64.0), 0.0, theme.surface);
        let x = if back {
            self.icon_button(
                area.x + 4.0,
                area.y + 8.0,
                "arrow_back",
                "Navigate up",
                State::close_page,
            );
            area.x + 60.0
        } else {
            area.x + 20.0
        };
        let box_ = Rect::new(x, area.y, area.right() - x - 60.0, 64.0);
        self.label_in(box_, sp(22.0), theme.on_surface, title);
        area.y + 64.0
    }

    /// A bar of places at the bottom: icon, word. Gives its upper edge.
    pub fn bottom_bar(&mut self, tabs: &[(&'static str, &'static str)], chosen: usize) -> f32 {
        let (area, theme) = (self.area, self.theme);
        let top = area.bottom() - 80.0;
        self.fill(
            Rect::new(0.0, top, self.screen.w, self.screen.h - top),
            0.0,
            theme.container,
        );
        let width = area.w / tabs.len() as f32;
        for (index, (icon, word)) in tabs.iter().enumerate() {
            let cell = Rect::new(area.x + index as f32 * width, top, width, 80.0);
            let on = index == chosen;
            let color = if on {
                theme.on_secondary_container
            } else {
                theme.on_variant
            };
            let pill = Rect::new(cell.center().0 - 32.0, top + 12.0, 64.0, 32.0);
            if on {
                self.fill(pill, 16.0, theme.secondary_container);
            }
            self.icon(icon, pill, 24.0, color);
            let style = if on {
                sp(12.0).medium().center()
            } else {
                sp(12.0).center()
            };
            self.draw_text(
                cell.x,
                top + 48.0,
                width,
                style,
                if on { theme.on_surface } else { color },
                word,
            );
            let tab = index.to_string();
            let node = self.node(cell);
            node.class("android.widget.FrameLayout")
                .desc(*word)
                .select(on)
                .tap(move |state| {
                    let place = state.page_mut();
                    place.close_over();
                    place.set("tab", tab.as_str());
                    place.scroll.clear();
                });
            node.text(*word);
        }
        top
    }

    /// Takes a strip off the lower edge of the area.
    pub fn keep_above(&mut self, bottom: f32) {
        self.area.h = bottom - self.area.y;
    }
}
