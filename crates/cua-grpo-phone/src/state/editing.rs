//! Typing: the field in focus, the cursor, what is selected and copied.

use super::{Field, State, Window};

/// Bytes that a field may have.
const MOST_TEXT: usize = 16 * 1024;

impl State {
    /// The window whose field keys go to.
    pub fn focused_window(&self) -> Option<Window> {
        let window = self.front_window();
        self.place(window).focus.is_some().then_some(window)
    }

    /// The field that keys go to.
    pub fn focused(&self) -> Option<&Field> {
        let place = self.place(self.focused_window()?);
        place.fields.get(place.focus.as_ref()?)
    }

    /// The field that keys go to, to change it.
    pub fn focused_mut(&mut self) -> Option<&mut Field> {
        let place = self.place_mut(self.focused_window()?);
        place.fields.get_mut(place.focus.as_ref()?)
    }

    /// Whether the keyboard is on the screen.
    pub fn keyboard_shown(&self) -> bool {
        self.focused().is_some() && !self.keyboard.hidden && self.awake && self.prompt.is_none()
    }

    /// Types a text at the cursor, in place of what is selected; `false` where no field has the focus.
    pub fn type_text(&mut self, text: &str) -> bool {
        let Some(field) = self.focused_mut() else {
            return false;
        };
        remove_selection(field);
        let room = MOST_TEXT.saturating_sub(field.text.len());
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let at = boundary(field);
        field.text.insert_str(at, &text[..end]);
        field.cursor = at + end;
        true
    }

    /// Deletes what is selected, or the character before the cursor.
    pub fn backspace(&mut self) {
        if let Some(field) = self.focused_mut()
            && !remove_selection(field)
        {
            let at = boundary(field);
            if let Some(last) = field.text[..at].chars().next_back() {
                field.cursor = at - last.len_utf8();
                field.text.remove(field.cursor);
            }
        }
    }

    /// Deletes the character behind the cursor.
    pub fn delete_forward(&mut self) {
        if let Some(field) = self.focused_mut()
            && !remove_selection(field)
        {
            let at = boundary(field);
            if at < field.text.len() {
                field.text.remove(at);
            }
        }
    }

    /// Moves the cursor by characters.
    pub fn move_cursor(&mut self, by: i32) {
        if let Some(field) = self.focused_mut() {
            field.anchor = None;
            let at = boundary(field);
            field.cursor = if by < 0 {
                field.text[..at]
                    .char_indices()
                    .next_back()
                    .map_or(0, |(start, _)| start)
            } else {
                field.text[at..].chars().next().map_or(at, |next| at + next.len_utf8())
            };
        }
    }

    /// Moves the cursor to the start or the end.
    pub fn move_to_edge(&mut self, end: bool) {
        if let Some(field) = self.focused_mut() {
            field.anchor = None;
            field.cursor = if end { field.text.len() } else { 0 };
        }
    }

    /// Selects the word around the cursor.
    pub fn select_word(&mut self) {
        if let Some(field) = self.focused_mut() {
            let at = boundary(field);
            let inside = |c: char| c.is_alphanumeric() || c == '\'' || c == '_';
            let start = field.text[..at]
                .char_indices()
                .rev()
                .take_while(|(_, c)| inside(*c))
                .last()
                .map_or(at, |(start, _)| start);
            let end = field.text[at..]
                .char_indices()
                .find(|(_, c)| !inside(*c))
                .map_or(field.text.len(), |(end, _)| at + end);
            (field.anchor, field.cursor) = (Some(start), end);
        }
    }

    /// Selects everything.
    pub fn select_all(&mut self) {
        if let Some(field) = self.focused_mut() {
            (field.anchor, field.cursor) = (Some(0), field.text.len());
        }
    }

    /// Copies what is selected; `cut` takes it out.
    pub fn copy(&mut self, cut: bool) {
        let selected = self.focused().and_then(|field| {
            let (start, end) = field.selection()?;
            Some(field.text[start..end].to_owned())
        });
        if let Some(text) = selected {
            self.clipboard = text;
            if let Some(field) = self.focused_mut() {
                if cut {
                    remove_selection(field);
                } else {
                    field.anchor = None;
                }
            }
        }
    }

    /// Types what was copied.
    pub fn paste(&mut self) {
        let text = self.clipboard.clone();
        self.type_text(&text);
    }
}

/// The cursor at the start of a character.
fn boundary(field: &Field) -> usize {
    let mut at = field.cursor.min(field.text.len());
    while !field.text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn remove_selection(field: &mut Field) -> bool {
    let selected = field.selection();
    field.anchor = None;
    if let Some((start, end)) = selected {
        field.text.replace_range(start..end, "");
        field.cursor = start;
    }
    selected.is_some()
}
