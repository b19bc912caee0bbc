//! The builder of screens: boxes in dp become nodes and paints in pixels.

use super::{
    node::{Node, Scroll},
    theme::{Theme, Type},
};
use crate::{
    draw::{
        geom::{Color, Rect},
        paint::{Clip, Paint, Same},
        text::{Font, Laid, TextEngine},
    },
    state::{Place, Window},
};
use std::sync::Arc;

/// What the builder has collected.
#[derive(Debug, Default)]
pub struct Scene {
    /// What is drawn, with what it is kept inside.
    pub paints: Vec<(Clip, Paint)>,
    /// What stands there; later ones lie above.
    pub nodes: Vec<Node>,
    /// The first node that can be touched, where a dialog is open.
    pub modal: usize,
}

/// Where boxes stand in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Pixels of a dp.
    pub k: f32,
    /// Pixels before the first column.
    pub x: f32,
    /// Pixels before the first row.
    pub y: f32,
}

/// Builds a screen. All boxes are in dp.
pub struct Ui<'a> {
    /// Shapes texts.
    pub engine: &'a mut TextEngine,
    /// Colours.
    pub theme: Theme,
    /// How many times larger than usual texts are.
    pub font_scale: f32,
    /// The whole screen.
    pub screen: Rect,
    /// The screen without bars and keyboard.
    pub area: Rect,
    /// Scroll offsets, fields and variables of the page.
    pub place: Place,
    /// What was built.
    pub scene: Scene,
    pub(crate) frame: Frame,
    pub(crate) clip: Clip,
    window: Window,
    package: Arc<str>,
    open: Vec<usize>,
}

impl<'a> Ui<'a> {
    /// A builder for a screen of so many dp.
    pub fn new(engine: &'a mut TextEngine, theme: Theme, screen: Rect, frame: Frame, place: &Place) -> Self {
        Self {
            engine,
            theme,
            font_scale: 1.0,
            screen,
            area: screen,
            place: place.clone(),
            scene: Scene::default(),
            frame,
            clip: Clip {
                rect: screen,
                radius: 0.0,
            },
            window: Window::App,
            package: Arc::from(""),
            open: Vec::new(),
        }
    }

    /// From now on nodes belong to a window of a package.
    pub fn window(&mut self, window: Window, package: &str, place: &Place) {
        self.window = window;
        self.package = Arc::from(package);
        self.place = place.clone();
        self.open.clear();
    }

    /// The window that nodes belong to.
    pub fn current_window(&self) -> Window {
        self.window
    }

    /// A box in pixels.
    pub fn px(&self, rect: Rect) -> Rect {
        let k = self.frame.k;
        rect.scale(k).offset(self.frame.x, self.frame.y)
    }

    /// Draws.
    pub fn paint(&mut self, paint: Paint) {
        let clip = Clip {
            rect: self.px(self.clip.rect),
            radius: self.clip.radius * self.frame.k,
        };
        if paint.reach().is_none_or(|reach| {
            let band = Rect::new(reach.x, clip.rect.y, reach.w, clip.rect.h);
            !reach.clip(band).is_empty()
        }) {
            self.scene.paints.push((clip, paint));
        }
    }

    /// A filled box.
    pub fn fill(&mut self, rect: Rect, radius: f32, color: Color) {
        self.fill_corners(rect, [radius; 4], color);
    }

    /// A filled box with a radius for each corner, from the upper left, clockwise.
    pub fn fill_corners(&mut self, rect: Rect, radii: [f32; 4], color: Color) {
        let (rect, k) = (self.px(rect), self.frame.k);
        self.paint(Paint::Fill {
            rect,
            radii: radii.map(|radius| radius * k),
            color,
        });
    }

    /// The edge of a box.
    pub fn stroke(&mut self, rect: Rect, radius: f32, width: f32, color: Color) {
        let (rect, k) = (self.px(rect), self.frame.k);
        self.paint(Paint::Stroke {
            rect,
            radius: radius * k,
            width: width * k,
            color,
        });
    }

    /// A shadow.
    pub fn shadow(&mut self, rect: Rect, radius: f32, height: f32) {
        let (rect, k) = (self.px(rect), self.frame.k);
        self.paint(Paint::Shadow {
            rect,
            radius: radius * k,
            height: height * k,
        });
    }

    /// A straight line.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, color: Color) {
        let Frame { k, x, y } = self.frame;
        let point = |p: (f32, f32)| (p.0 * k + x, p.1 * k + y);
        self.paint(Paint::Line {
            from: point(from),
            to: point(to),
            width: width * k,
            color,
        });
    }

    /// A part of a circle as a line.
    pub fn arc(&mut self, rect: Rect, width: f32, start: f32, sweep: f32, color: Color) {
        let (rect, k) = (self.px(rect), self.frame.k);
        self.paint(Paint::Arc {
            rect,
            width: width * k,
            start,
            sweep,
            color,
        });
    }

    /// An icon in the middle of a box, of a size.
    pub fn icon(&mut self, name: &'static str, rect: Rect, size: f32, color: Color) {
        let rect = self.px(rect.middle(size, size));
        self.paint(Paint::Icon { name, rect, color });
    }

    fn font(&self, style: Type) -> Font {
        let k = self.frame.k * self.font_scale;
        Font {
            face: style.face,
            size: style.size * k,
            medium: style.medium,
            line: style.line() * k,
        }
    }

    /// Breaks a text into lines of a width in dp.
    pub fn lay(&mut self, text: &str, style: Type, width: f32) -> Arc<Laid> {
        let font = self.font(style);
        self.engine
            .lay(text, font, style.align, width * self.frame.k, style.lines)
    }

    /// Width and height that a text takes, in dp.
    pub fn measure(&mut self, text: &str, style: Type, width: f32) -> (f32, f32) {
        let laid = self.lay(
            text,
            Type {
                align: crate::draw::text::Align::Left,
                ..style
            },
            width,
        );
        (laid.width / self.frame.k, laid.height / self.frame.k)
    }

    /// Draws a text from an upper left corner in a width, without a node; gives its height.
    pub fn draw_text(&mut self, x: f32, y: f32, width: f32, style: Type, color: Color, text: &str) -> f32 {
        let laid = self.lay(text, style, width);
        let height = laid.height / self.frame.k;
        let at = (x * self.frame.k + self.frame.x, y * self.frame.k + self.frame.y);
        self.paint(Paint::Text {
            laid: Same(laid),
            at,
            color,
        });
        height
    }

    /// Draws a text in the vertical middle of a box, without a node.
    pub fn draw_text_in(&mut self, rect: Rect, style: Type, color: Color, text: &str) {
        let (_, height) = self.measure(text, style, rect.w);
        let y = rect.y + (rect.h - height) / 2.0;
        self.draw_text(rect.x, y, rect.w, style, color, text);
    }

    /// A text with its node; gives its height.
    pub fn label(&mut self, x: f32, y: f32, width: f32, style: Type, color: Color, text: &str) -> f32 {
        let (own, height) = self.measure(text, style, width);
        self.draw_text(x, y, width, style, color, text);
        let left = match style.align {
            crate::draw::text::Align::Left => x,
            crate::draw::text::Align::Center => x + (width - own) / 2.0,
            crate::draw::text::Align::Right => x + width - own,
        };
        self.node(Rect::new(left, y, own, height))
            .class("android.widget.TextView")
            .text(text);
        height
    }

    /// A text with its node in the vertical middle of a box.
    pub fn label_in(&mut self, rect: Rect, style: Type, color: Color, text: &str) {
        let (_, height) = self.measure(text, style, rect.w);
        self.label(rect.x, rect.y + (rect.h - height) / 2.0, rect.w, style, color, text);
    }

    /// Adds a node at the current place of the tree.
    pub fn node(&mut self, rect: Rect) -> &mut Node {
        let rect = self.px(rect.clip(self.clip.rect));
        let index = self.scene.nodes.len();
        self.scene.nodes.push(Node {
            parent: self.open.last().copied(),
            window: self.window,
            package: self.package.clone(),
            class: "android.view.View",
            rect,
            ..Node::default()
        });
        &mut self.scene.nodes[index]
    }

    /// The node that was added last.
    pub fn last(&mut self) -> Option<&mut Node> {
        self.scene.nodes.last_mut()
    }

    /// From now on nodes stand inside the one that was added last, until [`Ui::close`].
    pub fn open(&mut self) {
        if let Some(last) = self.scene.nodes.len().checked_sub(1) {
            self.open.push(last);
        }
    }

    /// Ends the innermost open node.
    pub fn close(&mut self) {
        self.open.pop();
    }

    /// Nothing that was built so far can be touched any more.
    pub fn modal(&mut self) {
        self.scene.modal = self.scene.nodes.len();
    }

    /// Builds inside a box: what sticks out is cut off.
    pub fn clipped(&mut self, rect: Rect, radius: f32, build: impl FnOnce(&mut Self)) {
        let before = self.clip;
        self.clip = Clip {
            rect: rect.clip(before.rect),
            radius,
        };
        build(self);
        self.clip = before;
    }

    /// What can be scrolled. `build` gets the upper edge of the content, and gives its lower edge.
    pub fn scroll(&mut self, key: &'static str, rect: Rect, mut build: impl FnMut(&mut Self, f32) -> f32) {
        let asked = self.place.offset(key);
        let (paints, nodes, open) = (self.scene.paints.len(), self.scene.nodes.len(), self.open.len());
        let window = self.window;
        let mut offset = asked.max(0.0);
        for attempt in 0..2 {
            self.node(rect)
                .class("androidx.recyclerview.widget.RecyclerView")
                .id("recycler_view");
            self.open();
            let mut end = 0.0;
            self.clipped(rect, 0.0, |ui| end = build(ui, rect.y - offset));
            self.close();
            let max = (end + offset - rect.bottom()).max(0.0);
            if offset > max && attempt == 0 {
                offset = max;
                self.scene.paints.truncate(paints);
                self.scene.nodes.truncate(nodes);
                self.open.truncate(open);
                continue;
            }
            if let Some(node) = self.scene.nodes.get_mut(nodes) {
                node.scroll = Some(Scroll {
                    key,
                    window,
                    max,
                    offset,
                });
            }
            break;
        }
    }

    /// Ends building: what cannot be seen is left out.
    pub fn finish(self) -> Scene {
        let Scene { paints, nodes, modal } = self.scene;
        let whole = Rect::new(
            self.frame.x,
            self.frame.y,
            self.screen.w * self.frame.k,
            self.screen.h * self.frame.k,
        );
        let mut kept: Vec<Option<usize>> = Vec::with_capacity(nodes.len());
        let mut result: Vec<Node> = Vec::with_capacity(nodes.len());
        let mut first = 0;
        for (index, mut node) in nodes.into_iter().enumerate() {
            if index == modal {
                first = result.len();
            }
            node.rect = node.rect.clip(whole);
            if node.rect.w < 1.0 || node.rect.h < 1.0 {
                // Children of what is scrolled away go to its parent.
                kept.push(node.parent.and_then(|parent| kept[parent]));
                continue;
            }
            node.parent = node.parent.and_then(|parent| kept[parent]);
            kept.push(Some(result.len()));
            result.push(node);
        }
        if modal >= kept.len() && modal > 0 {
            first = result.len();
        }
        Scene {
            paints,
            nodes: result,
            modal: first,
        }
    }
}
