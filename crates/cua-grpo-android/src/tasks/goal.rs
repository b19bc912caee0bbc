//! Goals as data, with a compact text form that travels in `task.tags["goal"]`.

use crate::names::{App, Level, Page, Toggle};
use std::fmt;
use std::str::FromStr;

/// What shall be true on the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Goal {
    /// A switch is on or off: `toggle:wifi=on`.
    Toggle {
        /// Which switch.
        toggle: Toggle,
        /// Its position.
        on: bool,
    },
    /// The brightness has a level: `slider:brightness=low`.
    Brightness(Level),
    /// The screen turns off after this many milliseconds: `choice:timeout=60000`.
    Timeout(u32),
    /// An app is open: `app:clock`.
    App(App),
    /// A sub page of the settings is open: `page:display`.
    Page(Page),
    /// The launcher is shown: `home`.
    Home,
    /// A note has exactly this text: `note:buy apples`.
    Note(String),
    /// An alarm is on or off: `alarm:07:30=on`.
    Alarm {
        /// `HH:MM`, 24 hours.
        time: String,
        /// Its switch.
        on: bool,
    },
}

impl Goal {
    /// The screen timeouts that the dialog offers, in milliseconds.
    pub const TIMEOUTS: [u32; 6] = [15_000, 30_000, 60_000, 120_000, 300_000, 600_000];
}

/// A text that is no goal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read goal: expected e.g. toggle:wifi=on, got {got:?} ({why})")]
pub struct GoalError {
    /// The text.
    got: String,
    /// What is wrong with it.
    why: String,
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toggle { toggle, on } => write!(f, "toggle:{}={}", toggle.key(), on_off(*on)),
            Self::Brightness(level) => write!(f, "slider:brightness={}", level.key()),
            Self::Timeout(milliseconds) => write!(f, "choice:timeout={milliseconds}"),
            Self::App(app) => write!(f, "app:{}", app.key()),
            Self::Page(page) => write!(f, "page:{}", page.key()),
            Self::Home => write!(f, "home"),
            Self::Note(text) => write!(f, "note:{text}"),
            Self::Alarm { time, on } => write!(f, "alarm:{time}={}", on_off(*on)),
        }
    }
}

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, GoalError> {
        let error = |why: &str| GoalError {
            got: text.to_owned(),
            why: why.to_owned(),
        };
        if text == "home" {
            return Ok(Self::Home);
        }
        let (kind, rest) = text.split_once(':').ok_or_else(|| error("no kind before ':'"))?;
        let assignment = || rest.rsplit_once('=').ok_or_else(|| error("no '='"));
        let switch = |value: &str| match value {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(error("neither on nor off")),
        };
        match kind {
            "toggle" => {
                let (key, value) = assignment()?;
                let toggle = Toggle::ALL.into_iter().find(|toggle| toggle.key() == key);
                Ok(Self::Toggle {
                    toggle: toggle.ok_or_else(|| error(&unknown("switch", Toggle::ALL.map(Toggle::key))))?,
                    on: switch(value)?,
                })
            }
            "slider" => {
                let (key, value) = assignment()?;
                let level = Level::ALL
                    .into_iter()
                    .find(|level| key == "brightness" && level.key() == value);
                level
                    .map(Self::Brightness)
                    .ok_or_else(|| error("unknown slider or level; there is brightness=low, medium or high"))
            }
            "choice" => {
                let (key, value) = assignment()?;
                let timeout = Self::TIMEOUTS
                    .into_iter()
                    .find(|t| key == "timeout" && t.to_string() == value);
                timeout.map(Self::Timeout).ok_or_else(|| {
                    error("unknown choice or value; there is timeout=15000, 30000, 60000, 120000, 300000 or 600000")
                })
            }
            "app" => {
                let app = App::ALL.into_iter().find(|app| app.key() == rest);
                app.map(Self::App)
                    .ok_or_else(|| error(&unknown("app", App::ALL.map(App::key))))
            }
            "page" => {
                let page = Page::ALL.into_iter().find(|page| page.key() == rest);
                page.map(Self::Page)
                    .ok_or_else(|| error(&unknown("page", Page::ALL.map(Page::key))))
            }
            "note" if rest.is_empty() || rest.contains([';', '\n']) => {
                Err(error("the text is empty or has ';' or a line break"))
            }
            "note" => Ok(Self::Note(rest.to_owned())),
            "alarm" => {
                let (time, value) = assignment()?;
                if !is_time(time) {
                    return Err(error("no time HH:MM"));
                }
                Ok(Self::Alarm {
                    time: time.to_owned(),
                    on: switch(value)?,
                })
            }
            _ => Err(error(&unknown("kind", KINDS))),
        }
    }
}

/// What a goal may begin with.
const KINDS: [&str; 8] = ["toggle", "slider", "choice", "app", "page", "home", "note", "alarm"];

/// Words for a name that is not among `known`.
fn unknown<const N: usize>(what: &str, known: [&str; N]) -> String {
    format!("unknown {what}; there are {}", known.join(", "))
}

fn is_time(text: &str) -> bool {
    let part = |part: &str, limit: u32| part.len() == 2 && part.parse::<u32>().is_ok_and(|value| value < limit);
    text.split_once(':')
        .is_some_and(|(hours, minutes)| part(hours, 24) && part(minutes, 60))
}

/// Several goals, joined by `;` in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoalList(pub Vec<Goal>);

impl fmt::Display for GoalList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, goal) in self.0.iter().enumerate() {
            write!(f, "{}{goal}", if i > 0 { ";" } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for GoalList {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, GoalError> {
        text.split(';').map(Goal::from_str).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let text = "toggle:dark_theme=off;slider:brightness=high;choice:timeout=300000;app:gallery;page:about;home;\
                    note:a=b: c;alarm:07:30=on";
        let goals: GoalList = text.parse().unwrap();
        assert_eq!(goals.0.len(), 8);
        assert_eq!(goals.0[6], Goal::Note("a=b: c".to_owned()));
        assert_eq!(goals.to_string(), text);
    }

    #[test]
    fn wrong_texts_are_refused() {
        for text in [
            "",
            "wifi",
            "toggle:wifi",
            "toggle:wifi=1",
            "toggle:wlan=on",
            "slider:volume=low",
            "choice:timeout=16000",
            "app:browser",
            "page:",
            "note:",
            "alarm:7:30=on",
            "alarm:24:00=on",
            "home;",
        ] {
            assert!(text.parse::<GoalList>().is_err(), "{text:?} was taken");
        }
    }
}
