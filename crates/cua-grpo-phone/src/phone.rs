//! The phone: touches and keys change the state, and the state is drawn. Nothing here reads a clock or does I/O.

use crate::{
    apps,
    draw::{
        canvas::Canvas,
        paint::{Clip, Paint},
        text::with_engine,
    },
    screen,
    state::{Display, Fling, State, Window},
    system::bars,
    ui::{Node, Scene, Way},
};
use std::sync::Arc;

/// How far a finger may stray in a tap, in dp.
const SLOP: f32 = 8.0;
/// How long a finger rests before it is a long press, in ms.
const LONG_PRESS: i64 = 400;
/// Least and largest speed of a fling in dp a second.
const FLING: (f32, f32) = (50.0, 8000.0);

/// A picture of the screen: four bytes a pixel (red, green, blue, 255), row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The bytes.
    pub rgba: Arc<Vec<u8>>,
}

/// A key of the phone or of a keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Back.
    Back,
    /// Home.
    Home,
    /// Recent apps.
    Overview,
    /// Power.
    Power,
    /// Turns the screen on.
    Wake,
    /// Turns the screen off.
    Sleep,
    /// Louder.
    VolumeUp,
    /// Quieter.
    VolumeDown,
    /// No sound.
    Mute,
    /// Enter.
    Enter,
    /// Deletes before the cursor.
    Backspace,
    /// Deletes behind the cursor.
    Delete,
    /// To the start of the text.
    Start,
    /// To the end of the text.
    End,
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// Moves to the next field.
    Tab,
    /// Copies, cuts, pastes what is selected.
    Copy,
    /// Cuts.
    Cut,
    /// Pastes.
    Paste,
    /// A character.
    Char(char),
    /// Pulls the notifications down.
    Notifications,
    /// Begins a call with the number that is typed, or opens the dialer.
    Call,
    /// Ends a call.
    EndCall,
    /// Opens the camera.
    Camera,
    /// Any other key: nothing happens.
    Other,
}

type Shown = (Vec<(Clip, Paint)>, Frame);

/// A simulated phone. Equal seeds and actions give equal states and equal pixels.
#[derive(Debug, Clone)]
pub struct Phone {
    state: State,
    shown: Option<Shown>,
    /// Whether the state may have changed since the picture was drawn.
    stale: bool,
}

impl Phone {
    /// A phone whose looks and contents follow from `seed`.
    pub fn new(seed: u64, display: Display) -> Self {
        Self::with_state(State::new(seed, display, &apps::infos()))
    }

    /// A phone in a state.
    pub fn with_state(state: State) -> Self {
        Self {
            state,
            shown: None,
            stale: true,
        }
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its state, to change it.
    pub fn state_mut(&mut self) -> &mut State {
        self.stale = true;
        &mut self.state
    }

    /// A copy that goes on alone, exactly from here.
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// What stands on the screen: nodes and paints.
    pub fn scene(&self) -> Scene {
        with_engine(|engine| screen::scene(&self.state, engine))
    }

    /// The nodes on the screen; later ones lie above.
    pub fn nodes(&self) -> Vec<Node> {
        self.scene().nodes
    }

    /// The picture of the screen. Nothing is drawn where nothing changed.
    pub fn frame(&mut self) -> Frame {
        if let Some((_, frame)) = self.shown.as_ref().filter(|_| !self.stale) {
            return frame.clone();
        }
        let state = &self.state;
        let known = self.shown.take();
        let shown = with_engine(|engine| {
            let scene = screen::scene(state, engine);
            let Display { width, height, .. } = state.display;
            if let Some((paints, frame)) = known
                && paints == scene.paints
                && (frame.width, frame.height) == (width, height)
            {
                return (paints, frame);
            }
            let bytes = Canvas::new(width, height).map(|mut canvas| {
                for (clip, paint) in &scene.paints {
                    canvas.draw(*clip, paint, engine);
                }
                canvas.into_bytes()
            });
            let rgba = Arc::new(bytes.unwrap_or_default());
            (scene.paints, Frame { width, height, rgba })
        });
        let frame = shown.1.clone();
        self.shown = Some(shown);
        self.stale = false;
        frame
    }

    /// Lets time pass, in ms.
    pub fn advance(&mut self, ms: i64) {
        self.stale = true;
        self.state.advance(ms);
    }

    /// Lets lists come to rest.
    pub fn settle(&mut self) {
        if let Some(fling) = &self.state.fling {
            let left = fling.start + fling.length - self.state.now;
            self.advance(left.max(0));
        }
    }

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
        if let Some(node) = touched(&scene, from.0, from.1, moves) {
            if let Some(slide) = node.slide.as_ref().filter(|_| !vertical) {
                slide(&mut self.state, share(node, to.0));
            } else if let Some(scroll) = node.scroll.as_ref().filter(|_| vertical) {
                self.drag(scroll, dy, ms);
            } else if let Some(act) = &node.swipe {
                act(&mut self.state, way);
            }
        }
        self.state.advance(ms.clamp(0, 60_000));
        if let Some(fling) = &mut self.state.fling {
            fling.start = self.state.now;
        }
    }

    /// Drags and, where it was fast enough, flings a list.
    fn drag(&mut self, scroll: &crate::ui::node::Scroll, dy: f32, ms: i64) {
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

    /// Types a text into the field in focus; `replace` deletes first what stands there. `false` where there is none.
    pub fn type_text(&mut self, text: &str, replace: bool) -> bool {
        self.touch();
        if replace && self.state.focused().is_some() {
            self.state.select_all();
            self.state.backspace();
        }
        let mut typed = true;
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.enter();
            }
            typed &= line.is_empty() || self.state.type_text(line);
        }
        self.after();
        typed
    }

    /// Presses a key.
    pub fn key(&mut self, key: Key) {
        self.press_key(key);
        self.after();
    }

    fn press_key(&mut self, key: Key) {
        self.touch();
        let state = &mut self.state;
        match key {
            Key::Power => return state.power(),
            Key::Wake => return state.wake(),
            Key::Sleep => return state.sleep(),
            _ if !state.awake => return,
            _ => {}
        }
        match key {
            Key::Back => state.back(),
            Key::Home => state.home(),
            Key::Overview => state.overview(),
            Key::VolumeUp | Key::VolumeDown | Key::Mute => {
                let stream = crate::state::Stream::Media;
                let now = state.volume(stream);
                let next = match key {
                    Key::VolumeUp => now + 1,
                    Key::VolumeDown => now - 1,
                    _ => 0,
                };
                state.set_volume(stream, next);
                state.volume_panel = Some(state.now + 3000);
            }
            Key::Enter => self.enter(),
            Key::Backspace => state.backspace(),
            Key::Delete => state.delete_forward(),
            Key::Start => state.move_to_edge(false),
            Key::End => state.move_to_edge(true),
            Key::Left => state.move_cursor(-1),
            Key::Right => state.move_cursor(1),
            Key::Copy => state.copy(false),
            Key::Cut => state.copy(true),
            Key::Paste => state.paste(),
            Key::Char(letter) => drop(state.type_text(&letter.to_string())),
            Key::Notifications => state.pull_shade(1),
            Key::Call => state.launch("com.google.android.dialer"),
            Key::EndCall => state.hang_up(),
            Key::Camera => state.launch("com.google.android.GoogleCamera"),
            Key::Tab => self.next_field(),
            Key::Power | Key::Wake | Key::Sleep | Key::Other => {}
        }
    }

    fn next_field(&mut self) {
        let scene = self.scene();
        let fields: Vec<_> = scene.nodes[scene.modal..]
            .iter()
            .filter_map(|node| node.field.as_ref())
            .collect();
        let window = self.state.front_window();
        let now = self.state.place(window).focus.clone();
        let at = fields.iter().position(|field| Some(&field.key) == now.as_ref());
        let next = fields.get(at.map_or(0, |at| at + 1));
        if let Some(field) = next {
            let (window, key) = (field.window, field.key.clone());
            self.state.place_mut(window).focus(&key);
            self.state.keyboard.hidden = false;
        }
    }

    /// Enter: what the field says, or a new line.
    fn enter(&mut self) {
        let Some(window) = self.state.focused_window() else {
            return;
        };
        let key = self.state.place(window).focus.clone().unwrap_or_default();
        let scene = self.scene();
        let field = scene
            .nodes
            .iter()
            .filter_map(|node| node.field.as_ref())
            .find(|field| field.window == window && field.key == key);
        match field {
            Some(field) if field.multiline => drop(self.state.type_text("\n")),
            Some(field) => match field.submit.clone() {
                Some(act) => act(&mut self.state),
                None => self.state.keyboard.hidden = true,
            },
            None => {}
        }
    }

    /// Apps take over what was typed.
    fn after(&mut self) {
        for app in apps::ALL {
            app.after(&mut self.state);
        }
    }

    fn touch(&mut self) {
        self.stale = true;
        self.state.touched = self.state.now;
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
