//! The phone: touches and keys change the state, and the state is drawn. Nothing here reads a clock or does I/O.

use crate::{
    apps,
    draw::{
        canvas::Canvas,
        paint::{Clip, Paint},
        text::with_engine,
    },
    screen,
    state::{Display, State, birth},
    ui::{Node, Scene},
};
use std::sync::Arc;

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
    pub(crate) state: State,
    shown: Option<Shown>,
    /// Whether the state may have changed since the picture was drawn.
    stale: bool,
}

impl Phone {
    /// A phone whose looks and contents follow from `seed`.
    pub fn new(seed: u64, display: Display) -> Self {
        Self::with_state(birth(seed, display, &apps::infos()))
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
    pub(crate) fn enter(&mut self) {
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
    pub(crate) fn after(&mut self) {
        for app in apps::ALL {
            app.after(&mut self.state);
        }
    }

    pub(crate) fn touch(&mut self) {
        self.stale = true;
        self.state.touched = self.state.now;
    }
}
