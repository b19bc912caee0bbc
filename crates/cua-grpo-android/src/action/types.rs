//! Actions as data: what the policy can ask for.

use std::fmt;

/// One call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Press a place.
    Click {
        /// Where.
        target: Target,
        /// How.
        option: ClickOption,
    },
    /// Move a finger over the screen.
    Swipe {
        /// From where to where.
        path: SwipePath,
    },
    /// Move the content of a list.
    Scroll {
        /// What becomes visible: `Down` reveals what is below.
        direction: Direction,
        /// Where; the centre of the screen when absent.
        target: Option<Target>,
        /// How far in screenshot pixels; half a screen when absent.
        distance: Option<f64>,
    },
    /// Type text.
    Input {
        /// What to type.
        text: String,
        /// The field to click first; the focused one when absent.
        target: Option<Target>,
    },
    /// Press keys, together if there are several.
    KeyPress {
        /// Names of [`super::KEYS`].
        keys: Vec<String>,
    },
    /// Press a button of the device.
    ButtonPress {
        /// Which.
        button: ButtonName,
    },
    /// Wait for the screen.
    Sleep {
        /// Seconds, 0.1 to 60.
        duration: f64,
    },
    /// End the episode.
    Report {
        /// Does the policy claim success?
        success: bool,
        /// What it says about it.
        message: Option<String>,
    },
}

/// How to click.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClickOption {
    /// Once.
    #[default]
    Left,
    /// For a context menu.
    Right,
    /// Twice.
    Double,
}

/// Where a swipe goes.
#[derive(Debug, Clone, PartialEq)]
pub enum SwipePath {
    /// Across the middle of the screen; the finger moves in this direction.
    Towards(Direction),
    /// From one place to another.
    Between {
        /// Where the finger goes down.
        start: Target,
        /// Where it goes up.
        end: Target,
    },
}

/// A place on the screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// In words; to be found by the grounding model.
    Described(Box<Description>),
    /// Thousandths of the width and of the height of the screenshot, 0 to 1000 each.
    Coordinate {
        /// From the left.
        x: f64,
        /// From the top.
        y: f64,
    },
}

impl Target {
    /// A target described by its element only.
    pub fn element(element: impl Into<String>) -> Self {
        Self::Described(Box::new(Description {
            element: element.into(),
            ..Description::default()
        }))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described(description) => write!(f, "\"{}\"", description.sentence()),
            Self::Coordinate { x, y } => write!(f, "[{x}, {y}]"),
        }
    }
}

/// What a thing on the screen is and looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// What it is, e.g. `Wi-Fi` or `the search field`. Never empty.
    pub element: String,
    /// Its text.
    pub label: Option<String>,
    /// Its colour.
    pub color: Option<String>,
    /// Its size.
    pub size: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// Its shape.
    pub shape: Option<String>,
}

impl Description {
    /// The optional fields by name, in the order of the grammar.
    pub(super) fn optional(&self) -> [(&'static str, &Option<String>); 5] {
        [
            ("label", &self.label),
            ("color", &self.color),
            ("size", &self.size),
            ("location", &self.location),
            ("shape", &self.shape),
        ]
    }

    /// The fields joined to one phrase for the grounding model: the bare element where nothing else is given.
    pub fn sentence(&self) -> String {
        let mut sentence = self.element.clone();
        for (name, value) in self.optional() {
            if let Some(value) = value {
                sentence.push_str(&format!(", {name} {value}"));
            }
        }
        sentence
    }
}

/// A direction on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the upper edge.
    Up,
    /// To the lower edge.
    Down,
    /// To the left edge.
    Left,
    /// To the right edge.
    Right,
}

impl Direction {
    /// All directions.
    pub const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Left, Self::Right];

    /// The word in the grammar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// The unit step `(x, y)`, y downwards.
    pub fn step(self) -> (f64, f64) {
        match self {
            Self::Up => (0.0, -1.0),
            Self::Down => (0.0, 1.0),
            Self::Left => (-1.0, 0.0),
            Self::Right => (1.0, 0.0),
        }
    }
}

/// A button of the device that the policy may press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ButtonName {
    /// One screen back.
    Back,
    /// To the launcher.
    Home,
    /// The menu of the app.
    Menu,
}

impl ButtonName {
    /// All buttons.
    pub const ALL: [Self; 3] = [Self::Back, Self::Home, Self::Menu];

    /// The word in the grammar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Back => "back",
            Self::Home => "home",
            Self::Menu => "menu",
        }
    }
}

impl fmt::Display for Action {
    /// The action in a few words, e.g. `click "Wi-Fi"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Click {
                target,
                option: ClickOption::Left,
            } => write!(f, "click {target}"),
            Self::Click {
                target,
                option: ClickOption::Right,
            } => write!(f, "right click {target}"),
            Self::Click {
                target,
                option: ClickOption::Double,
            } => write!(f, "double click {target}"),
            Self::Swipe {
                path: SwipePath::Towards(direction),
            } => write!(f, "swipe {}", direction.as_str()),
            Self::Swipe {
                path: SwipePath::Between { start, end },
            } => write!(f, "swipe {start} to {end}"),
            Self::Scroll {
                direction,
                target,
                distance,
            } => {
                write!(f, "scroll {}", direction.as_str())?;
                if let Some(distance) = distance {
                    write!(f, " {distance}px")?;
                }
                target.iter().try_for_each(|target| write!(f, " at {target}"))
            }
            Self::Input { text, target } => {
                write!(f, "input {text:?}")?;
                target.iter().try_for_each(|target| write!(f, " into {target}"))
            }
            Self::KeyPress { keys } => write!(f, "press {}", keys.join("+")),
            Self::ButtonPress { button } => write!(f, "button {}", button.as_str()),
            Self::Sleep { duration } => write!(f, "sleep {duration}s"),
            Self::Report { success: true, .. } => write!(f, "report success"),
            Self::Report { success: false, .. } => write!(f, "report failure"),
        }
    }
}
