//! What an expert does, in words: the steps of a template's `expert` list, as data and as text.

use crate::action::{ButtonName, Direction, KEYS};
use std::fmt;
use std::str::FromStr;

/// Most times that one step presses a key.
const MOST_PRESSES: u64 = 50;

/// One step. Each becomes actions of the policy's grammar on the phone that it is played on; `find`, `switch` and `open`
/// become none where the screen is already as they want it.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `open "Clock"`: brings an app to the front at its first page.
    Open(String),
    /// `tap "Wi-Fi"`, with `if shown` only where it is on the screen.
    Tap {
        /// What, as the grounding takes it.
        what: String,
        /// Whether it may be absent.
        if_shown: bool,
    },
    /// `tap each of "415"`: taps what is called by each letter, one after another, as on a keypad.
    TapEach(String),
    /// `tap at 500 300`: thousandths of width and height.
    TapAt(f64, f64),
    /// `find "System"`: scrolls the list in front until it is shown.
    Find(String),
    /// `switch "Wi-Fi" on`: taps it unless it is on.
    Switch {
        /// What, as the grounding takes it.
        what: String,
        /// How it shall be.
        on: bool,
    },
    /// `slide "Brightness" to 30%`: taps a slider there.
    Slide {
        /// What, as the grounding takes it.
        what: String,
        /// How far, 0 to 100.
        percent: f64,
    },
    /// `type "buy milk"`, or `type "Ann" into "First name"`.
    Type {
        /// The text; `\n` in it begins a line.
        text: String,
        /// The field that is tapped first.
        into: Option<String>,
    },
    /// `press enter`, `press control+a`, `press backspace 5 times`.
    Press {
        /// Names of [`KEYS`], pressed together.
        keys: Vec<String>,
        /// How often.
        times: u64,
    },
    /// `swipe up`: across the middle of the screen.
    Swipe(Direction),
    /// `swipe "Message" left`: from it to the edge.
    SwipeFrom {
        /// What, as the grounding takes it.
        what: String,
        /// Where the finger goes.
        direction: Direction,
    },
    /// `swipe from 500 5 to 500 600`: thousandths of width and height.
    Drag([f64; 4]),
    /// `scroll down`: shows what is below.
    Scroll(Direction),
    /// `back`, `home`, `menu`.
    Button(ButtonName),
    /// `wait 2`: seconds.
    Wait(f64),
    /// `report`, or `report "the answer"`: the last step, which is added where it is missing.
    Report(Option<String>),
}

/// A text that is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read step: got `{got}` ({why})")]
pub struct StepError {
    got: String,
    why: String,
}

/// A word of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepWord {
    /// What it says; without its quotes.
    pub text: String,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// What steps there are, for errors.
const FORMS: &str = "there are open \"APP\"; tap \"WHAT\"; tap \"WHAT\" if shown; tap each of \"LETTERS\"; tap at X Y; find \
                     \"WHAT\"; switch \"WHAT\" on|off; slide \"WHAT\" to N%; type \"TEXT\"; type \"TEXT\" into \"FIELD\"; press KEY; press KEY N times; \
                     swipe up|down|left|right; swipe \"WHAT\" DIRECTION; swipe from X Y to X Y; scroll DIRECTION; back; home; \
                     menu; wait SECONDS; report; report \"TEXT\"";

/// Splits a step into words: what stands in `"` is one, in which `\"`, `\\` and `\n` are a quote, a backslash and a line
/// break.
pub(crate) fn words(text: &str) -> Result<Vec<StepWord>, StepError> {
    let error = |why: &str| StepError {
        got: text.to_owned(),
        why: why.to_owned(),
    };
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if letter != '"' {
            word.push(letter);
            while let Some(more) = letters.next_if(|next| !next.is_whitespace() && *next != '"') {
                word.push(more);
            }
            words.push(StepWord {
                text: word,
                quoted: false,
            });
            continue;
        }
        loop {
            match letters.next() {
                None => return Err(error("a `\"` without its end")),
                Some('"') => break,
                Some('\\') => match letters.next() {
                    Some('n') => word.push('\n'),
                    Some(sign @ ('"' | '\\')) => word.push(sign),
                    _ => return Err(error("after a backslash: expected n, \" or \\")),
                },
                Some(other) => word.push(other),
            }
        }
        words.push(StepWord {
            text: word,
            quoted: true,
        });
    }
    Ok(words)
}

fn direction(text: &str) -> Option<Direction> {
    Direction::ALL.into_iter().find(|direction| direction.as_str() == text)
}

fn number(text: &str, least: f64, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

impl Step {
    /// Reads a step from its words.
    pub(crate) fn of(words: &[StepWord]) -> Result<Self, StepError> {
        /// A word by how it stood there.
        enum W<'a> {
            Q(&'a str),
            B(&'a str),
        }
        let list: Vec<W<'_>> = words
            .iter()
            .map(|word| {
                if word.quoted {
                    W::Q(&word.text)
                } else {
                    W::B(&word.text)
                }
            })
            .collect();
        let fail = |why: &str| StepError {
            got: shown(words),
            why: why.to_owned(),
        };
        if words.iter().any(|word| word.quoted && word.text.is_empty()) {
            return Err(fail("a text in quotes is empty"));
        }
        let thousandth = |text: &str| number(text, 0.0, 1000.0).ok_or_else(|| fail("expected thousandths, 0 to 1000"));
        let towards = |text: &str| direction(text).ok_or_else(|| fail("expected up, down, left or right"));
        let own = |text: &str| text.to_owned();
        Ok(match list.as_slice() {
            [W::B("open"), W::Q(app)] => Self::Open(own(app)),
            [W::B("tap"), W::Q(what)] => Self::Tap {
                what: own(what),
                if_shown: false,
            },
            [W::B("tap"), W::Q(what), W::B("if"), W::B("shown")] => Self::Tap {
                what: own(what),
                if_shown: true,
            },
            [W::B("tap"), W::B("each"), W::B("of"), W::Q(letters)] => Self::TapEach(own(letters)),
            [W::B("tap"), W::B("at"), W::B(x), W::B(y)] => Self::TapAt(thousandth(x)?, thousandth(y)?),
            [W::B("find"), W::Q(what)] => Self::Find(own(what)),
            [W::B("switch"), W::Q(what), W::B(state @ ("on" | "off"))] => Self::Switch {
                what: own(what),
                on: *state == "on",
            },
            [W::B("slide"), W::Q(what), W::B("to"), W::B(share)] => {
                let percent = share.strip_suffix('%').and_then(|share| number(share, 0.0, 100.0));
                Self::Slide {
                    what: own(what),
                    percent: percent.ok_or_else(|| fail("expected a share such as 30%"))?,
                }
            }
            [W::B("type"), W::Q(text)] => Self::Type {
                text: own(text),
                into: None,
            },
            [W::B("type"), W::Q(text), W::B("into"), W::Q(field)] => Self::Type {
                text: own(text),
                into: Some(own(field)),
            },
            [W::B("press"), W::B(keys), rest @ ..] => {
                let times = match rest {
                    [] => 1,
                    [W::B(times), W::B("times")] => times
                        .parse()
                        .ok()
                        .filter(|times| (1..=MOST_PRESSES).contains(times))
                        .ok_or_else(|| fail(&format!("expected 1 to {MOST_PRESSES} times")))?,
                    _ => return Err(fail(FORMS)),
                };
                let keys: Vec<String> = keys.split('+').map(own).collect();
                if let Some(unknown) = keys.iter().find(|key| !KEYS.contains(&key.as_str())) {
                    return Err(fail(&format!(
                        "{unknown:?} is no key; names are such as enter, backspace, tab, a, control+a"
                    )));
                }
                Self::Press { keys, times }
            }
            [W::B("swipe"), W::B(way)] => Self::Swipe(towards(way)?),
            [W::B("swipe"), W::Q(what), W::B(way)] => Self::SwipeFrom {
                what: own(what),
                direction: towards(way)?,
            },
            [
                W::B("swipe"),
                W::B("from"),
                W::B(a),
                W::B(b),
                W::B("to"),
                W::B(c),
                W::B(d),
            ] => Self::Drag([thousandth(a)?, thousandth(b)?, thousandth(c)?, thousandth(d)?]),
            [W::B("scroll"), W::B(way)] => Self::Scroll(towards(way)?),
            [W::B("back")] => Self::Button(ButtonName::Back),
            [W::B("home")] => Self::Button(ButtonName::Home),
            [W::B("menu")] => Self::Button(ButtonName::Menu),
            [W::B("wait"), W::B(seconds)] => {
                Self::Wait(number(seconds, 0.1, 60.0).ok_or_else(|| fail("expected seconds, 0.1 to 60"))?)
            }
            [W::B("report")] => Self::Report(None),
            [W::B("report"), W::Q(text)] => Self::Report(Some(own(text))),
            _ => return Err(fail(FORMS)),
        })
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        Self::of(&words(text)?)
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

fn shown(words: &[StepWord]) -> String {
    let word = |word: &StepWord| match word.quoted {
        true => quoted(&word.text),
        false => word.text.clone(),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on_off = |on: bool| if on { "on" } else { "off" };
        match self {
            Self::Open(app) => write!(f, "open {}", quoted(app)),
            Self::Tap { what, if_shown: false } => write!(f, "tap {}", quoted(what)),
            Self::Tap { what, if_shown: true } => write!(f, "tap {} if shown", quoted(what)),
            Self::TapEach(letters) => write!(f, "tap each of {}", quoted(letters)),
            Self::TapAt(x, y) => write!(f, "tap at {x} {y}"),
            Self::Find(what) => write!(f, "find {}", quoted(what)),
            Self::Switch { what, on } => write!(f, "switch {} {}", quoted(what), on_off(*on)),
            Self::Slide { what, percent } => write!(f, "slide {} to {percent}%", quoted(what)),
            Self::Type { text, into: None } => write!(f, "type {}", quoted(text)),
            Self::Type {
                text,
                into: Some(field),
            } => write!(f, "type {} into {}", quoted(text), quoted(field)),
            Self::Press { keys, times: 1 } => write!(f, "press {}", keys.join("+")),
            Self::Press { keys, times } => write!(f, "press {} {times} times", keys.join("+")),
            Self::Swipe(direction) => write!(f, "swipe {}", direction.as_str()),
            Self::SwipeFrom { what, direction } => write!(f, "swipe {} {}", quoted(what), direction.as_str()),
            Self::Drag([a, b, c, d]) => write!(f, "swipe from {a} {b} to {c} {d}"),
            Self::Scroll(direction) => write!(f, "scroll {}", direction.as_str()),
            Self::Button(button) => f.write_str(button.as_str()),
            Self::Wait(seconds) => write!(f, "wait {seconds}"),
            Self::Report(None) => f.write_str("report"),
            Self::Report(Some(text)) => write!(f, "report {}", quoted(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in [
            "open \"Keep Notes\"",
            "tap \"Network & internet\"",
            "tap \"Allow\" if shown",
            "tap each of \"415\"",
            "tap at 500 12.5",
            "find \"System\"",
            "switch \"07:30\" off",
            "slide \"Brightness level\" to 30%",
            r#"type "say \"hi\"\\\nthere""#,
            "type \"Ann\" into \"First name\"",
            "press control+a",
            "press backspace 5 times",
            "swipe up",
            "swipe \"Message\" left",
            "swipe from 500 5 to 500 600",
            "scroll down",
            "back",
            "home",
            "menu",
            "wait 2.5",
            "report",
            "report \"42\"",
        ] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        let typed = Step::Type {
            text: "a \"b\"\n".to_owned(),
            into: None,
        };
        assert_eq!(r#"  type   "a \"b\"\n" "#.parse::<Step>(), Ok(typed));
    }

    #[test]
    fn other_texts_say_what_there_is() {
        for (text, part) in [
            ("", "there are open"),
            ("tap Wi-Fi", "there are open"),
            ("tap \"\"", "empty"),
            ("tap each of 415", "there are open"),
            ("tap \"a", "without its end"),
            (r#"type "\t""#, "backslash"),
            ("switch \"a\" maybe", "there are open"),
            ("slide \"a\" to 300%", "30%"),
            ("press return", "no key"),
            ("press enter 0 times", "1 to 50"),
            ("swipe north", "up, down, left or right"),
            ("tap at 500 1200", "0 to 1000"),
            ("wait 0", "seconds"),
        ] {
            let error = text.parse::<Step>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
