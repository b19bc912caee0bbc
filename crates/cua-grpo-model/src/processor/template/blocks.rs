//! The blocks that are open where a tag stands: those that are scopes in Jinja, and what may leave a loop.
//!
//! The engine has no scope for the body of `filter`, of a `set` without `=`, and of the `else` of a loop: they get a `with`.

use std::collections::BTreeSet;

/// Blocks that are open, and what is known of macros.
#[derive(Debug)]
pub(super) struct Blocks<'m> {
    open: Vec<Open>,
    /// Macros of which a parameter has a default; see [`super::statements`].
    macros: &'m BTreeSet<String>,
    found: BTreeSet<String>,
    /// Whether the tag is a `set` without `=`.
    captures: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Open {
    Condition,
    Loop,
    /// One with a `continue` in it.
    Continued,
    /// Behind the `else` of a loop.
    Otherwise,
    /// The engine does not leave it by `break` and `continue`.
    Scope(&'static str),
}

impl<'m> Blocks<'m> {
    pub(super) fn new(macros: &'m BTreeSet<String>) -> Self {
        Self {
            open: Vec::new(),
            macros,
            found: BTreeSet::new(),
            captures: false,
        }
    }

    /// Macros that are known to have defaults.
    pub(super) fn macros(&self) -> &'m BTreeSet<String> {
        self.macros
    }

    /// A macro has a default.
    pub(super) fn found(&mut self, name: &str) {
        self.found.insert(name.to_owned());
    }

    /// The macros that were found to have defaults.
    pub(super) fn into_found(self) -> BTreeSet<String> {
        self.found
    }

    /// The tag is a `set` without `=`.
    pub(super) fn capture(&mut self) {
        self.captures = true;
    }

    /// The tag that begins with `word` and is written like this is passed: what is written in its place.
    ///
    /// # Errors
    /// For a `break` or `continue` that the engine does not do.
    pub(super) fn pass(&mut self, word: &str, written: String) -> Result<String, String> {
        let captures = std::mem::take(&mut self.captures);
        let open = match word {
            "if" => Open::Condition,
            "for" => Open::Loop,
            "set" if captures => Open::Scope("set"),
            "filter" => Open::Scope("filter"),
            "with" => Open::Scope("with"),
            "generation" => Open::Scope("generation"),
            "macro" => Open::Scope("macro"),
            "call" => Open::Scope("call"),
            "block" => Open::Scope("block"),
            "else" => {
                if self.open.last() == Some(&Open::Continued) {
                    return Err(
                        "`else` of a loop with `continue`: Jinja renders it where no round came to its end, which is not done \
                         here; write an `if` around what `continue` passes over"
                            .to_owned(),
                    );
                }
                let last = self.open.last_mut().filter(|last| **last == Open::Loop);
                return Ok(match last {
                    Some(last) => {
                        *last = Open::Otherwise;
                        format!("{written} %}}{{% with")
                    }
                    None => written,
                });
            }
            "break" | "continue" => return self.leave(word).map(|()| written),
            word if word.starts_with("end") => {
                let closed = self.open.pop();
                let scope = matches!(closed, Some(Open::Otherwise | Open::Scope("set" | "filter")));
                return Ok(if scope {
                    format!("endwith %}}{{% {written}")
                } else {
                    written
                });
            }
            _ => return Ok(written),
        };
        self.open.push(open);
        Ok(match open {
            Open::Scope("set" | "filter") => format!("{written} %}}{{% with"),
            _ => written,
        })
    }

    /// That the engine can leave the loop from here.
    fn leave(&mut self, word: &str) -> Result<(), String> {
        let inside = self.open.iter_mut().rev().find(|open| **open != Open::Condition);
        let inside = match inside {
            Some(open @ Open::Loop) if word == "continue" => {
                *open = Open::Continued;
                return Ok(());
            }
            None | Some(Open::Loop | Open::Continued) => return Ok(()),
            Some(Open::Otherwise) => "else",
            Some(Open::Scope(scope)) => scope,
            Some(Open::Condition) => "if",
        };
        Err(format!(
            "`{word}` inside `{inside}`, which it does not leave here; write an `if` around what it passes over"
        ))
    }
}
