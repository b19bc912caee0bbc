//! Touches: taps, long presses, swipes with their flings, and the gestures of the edges.

use crate::{
    phone::Phone,
    state::{Fling, Window},
    system::bars,
    ui::{Node, Scene, Way, node::Scroll},
};

/// How far a finger may stray in a tap, in dp.
const SLOP: f32 = 8.0;
/// How long a finger rests before it is a long press, in ms.
const LONG_PRESS: i64 = 400;
/// Least and largest speed of a fling in dp a second.
const FLING: (f32, f32) = (50.0, 8000.0);

impl Phone {
    /// Touches a point for a moment, in pixels.
    pub fn tap(&mut self, x: f32, y: f32) {
        self.tap_once(x, y);
        self.after();
    }

    fn tap_once(&mut self, x: f32, y: f32) {
        self.touch();
        if !self.state.awake || self.stop_fling() {
            return;
        }
        let scene = self.scene();
        let hit = touched(&scene, x, y, |node| {
            node.tap.is_some() || node.field.is_some() || node.slide.is_some() || node.scroll.is_some()
        });
        let Some(node) = hit else {
            return;
        };
        self.state.heads_up = self.state.heads_up.filter(|_| node.window == Window::System);
        if node.disabled {
            return;
        }
        if let Some(field) = &node.field {
            let (window, key) = (field.window, field.key.clone());
            let place = self.state.place_mut(window);
            let known = place.focus.as_ref() == Some(&key);
            place.focus(&key);
            if place.var("menu") == "selection" {
                place.set("menu", "");
            }
            if let Some(text) = place.fields.get_mut(&key) {
                text.anchor = None;
                if !known {
                    text.cursor = text.text.len();
                }
            }
            self.state.keyboard.hidden = false;
        } else if let Some(slide) = &node.slide {
            slide(&mut self.state, share(node, x));
        } else if node.id.ends_with(":id/key_enter") {
            self.enter();
        } else if let Some(act) = &node.tap {
            act(&mut self.state);
        }
    }

    /// Touches a point for a long time, in pixels.
    pub fn long_press(&mut self, x: f32, y: f32) {
        self.press(x, y);
        self.after();
    }

    fn press(&mut self, x: f32, y: f32) {
        self.touch();
        if !self.state.awake {
            return;
        }
        self.stop_fling();
        self.state.advance(LONG_PRESS);
        let scene = self.scene();
        let hit = touched(&scene, x, y, |node| {
            node.tap.is_some() || node.long.is_some() || node.field.is_some() || node.slide.is_some()
        });
        match hit {
            Some(node) if node.disabled => {}
            Some(node) => match &node.long {
                Some(act) => act(&mut self.state),
                // A long press on what has no use for it clicks when it is let go, as views do.
                None => self.tap(x, y),
            },
            None => {}
        }
    }

    /// Drags a finger from one point to another in so many ms, and lets it go at that speed.
    pub fn swipe(&mut self, from: (f32, f32), to: (f32, f32), ms: i64) {
        self.drag_finger(from, to, ms);
        self.after();
    }

    fn drag_finger(&mut self, from: (f32, f32), to: (f32, f32), ms: i64) {
        self.touch();
        if !self.state.awake {
            return;
        }
        let k = self.state.display.scale();
        let (dx, dy) = ((to.0 - from.0) / k, (to.1 - from.1) / k);
        if dx.hypot(dy) < SLOP {
            if ms >= LONG_PRESS {
                self.long_press(from.0, from.1);
            } else {
                self.tap(from.0, from.1);
            }
            return;
        }
        self.stop_fling();
        let way = match (dx.abs() > dy.abs(), dx > 0.0, dy > 0.0) {
            (true, true, _) => Way::Right,
            (true, false, _) => Way::Left,
            (false, _, true) => Way::Down,
            (false, _, false) => Way::Up,
        };
        if self.edge(from, way, (dx, dy), ms) {
            self.state.advance(ms);
            return;
        }
        let scene = self.scene();
        let vertical = matches!(way, Way::Up | Way::Down);
        let moves = |node: &Node| {
            let scrolls = node.scroll.as_ref().is_some_and(|scroll| {
                vertical
                    && (if dy < 0.0 {
                        scroll.offset < scroll.max - 0.5
                    } else {
                        scroll.offset > 0.5
                    } || node.swipe.is_none() && scroll.max > 0.0)
            });
            scrolls || node.swipe.is_some() || (!vertical && node.slide.is_some())
        };
        // The finger needs its time; only then is the list let go.
        self.state.advance(ms.clamp(0, 60_000));
        if let Some(node) = touched(&scene, from.0, from.1, moves) {
            if let Some(slide) = node.slide.as_ref().filter(|_| !vertical) {
                slide(&mut self.state, share(node, to.0));
            } else if let Some(scroll) = node.scroll.as_ref().filter(|_| vertical) {
                self.drag(scroll, dy, ms);
            } else if let Some(act) = &node.swipe {
                act(&mut self.state, way);
            }
        }
    }

    /// Drags and, where it was fast enough, flings a list.
    fn drag(&mut self, scroll: &Scroll, dy: f32, ms: i64) {
        let speed = (dy.abs() / (ms.max(1) as f32 / 1000.0)).min(FLING.1);
        let moved = dy.abs() - SLOP;
        let at = (scroll.offset - dy.signum() * moved).clamp(0.0, scroll.max);
        self.state.place_mut(scroll.window).scroll.insert(scroll.key, at);
        if speed < FLING.0 * 4.0 {
            return;
        }
        // Android's fling, in dp: friction, gravity and the density of 160 that a dp stands for.
        let friction = 0.015 * 9.806_65 * 39.37 * 160.0 * 0.84;
        let l = (0.35 * speed / friction).ln();
        let length = (1000.0 * (l / 1.358).exp()) as i64;
        let distance = friction * (1.736 * l).exp();
        let target = (at - dy.signum() * distance).clamp(0.0, scroll.max);
        if (target - at).abs() >= 1.0 {
            self.state.fling = Some(Fling {
                key: scroll.key,
                window: scroll.window,
                from: at,
                distance: target - at,
                start: self.state.now,
                length,
            });
        }
    }

    /// Gestures that begin at an edge of the screen.
    fn edge(&mut self, from: (f32, f32), way: Way, (dx, dy): (f32, f32), ms: i64) -> bool {
        const SIDE: f32 = 16.0;
        let k = self.state.display.scale();
        let (x, y) = (from.0 / k, from.1 / k);
        let (width, height) = (
            self.state.display.width as f32 / k,
            self.state.display.height as f32 / k,
        );
        if self.state.locked || self.state.prompt.is_some() {
            return false;
        }
        if way == Way::Down && y < crate::system::STATUS && self.state.shade < 2 {
            let right = x > width / 2.0 && self.state.shade == 0 && dy > height * 0.5;
            let level = if right { 2 } else { self.state.shade + 1 };
            self.state.pull_shade(level);
            return true;
        }
        if self.state.has_buttons() {
            return false;
        }
        if way == Way::Up && y > height - bars::navigation_height(&self.state) {
            // Slow and half the way up shows the recent apps; a flick goes home.
            if ms >= 600 && -dy > height * 0.25 {
                self.state.overview();
            } else {
                self.state.home();
            }
            return true;
        }
        if (way == Way::Right && x < SIDE || way == Way::Left && x > width - SIDE) && dx.abs() > 24.0 {
            self.state.back();
            return true;
        }
        false
    }

    /// Scrolls without a finger, as a wheel does: positive `dy` shows what is below, positive `dx` what is to the right.
    pub fn scroll(&mut self, x: f32, y: f32, dx: f32, dy: f32) {
        self.swipe((x, y), (x - dx, y - dy), 1500);
        self.state.fling = None;
    }

    /// A touch stops a moving list, and does nothing else.
    fn stop_fling(&mut self) -> bool {
        self.state.settle_fling();
        self.state.fling.take().is_some()
    }
}

/// The topmost node at a point that can be touched and has a use for it.
fn touched(scene: &Scene, x: f32, y: f32, wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
    let front = scene.nodes.get(scene.modal..)?;
    front.iter().rev().find(|node| node.rect.contains(x, y) && wanted(node))
}

/// Where on a slider a point lies, 0 to 1.
fn share(node: &Node, x: f32) -> f32 {
    ((x - node.rect.x) / node.rect.w.max(1.0)).clamp(0.0, 1.0)
}
