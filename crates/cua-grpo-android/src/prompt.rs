//! What the policy is told: the system prompt, the task, and a line of text with each screenshot.

use crate::action::{Action, ButtonName, Direction, SwipePath, Target, python_json, to_reply};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How much the policy is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// Tools with their schemas, examples and rules: for a pretrained model.
    #[default]
    Full,
    /// Two short sentences: for a model that learnt the grammar from demonstrations.
    Brief,
}

impl PromptStyle {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Full, Self::Brief];
}

/// How the policy is taught to name places; the parser takes both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetStyle {
    /// In words, found by the grounding model.
    #[default]
    Description,
    /// As `[x, y]` from 0 to 1000.
    #[serde(rename = "coordinates")]
    Coordinate,
}

impl TargetStyle {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Description, Self::Coordinate];
}

/// Longest error in a brief prompt, in characters.
const BRIEF_ERROR: usize = 80;
/// Longest error in a full prompt, in characters.
const FULL_ERROR: usize = 400;

/// Builds the texts of an episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prompts {
    /// How much is told.
    pub style: PromptStyle,
    /// How places are named.
    pub targets: TargetStyle,
}

impl Prompts {
    /// The system prompt. It does not depend on the task.
    pub fn system(&self) -> String {
        match self.style {
            PromptStyle::Brief => "You use a phone. Answer with one tool call.".to_owned(),
            PromptStyle::Full => self.full_system(),
        }
    }

    /// The text before the first screenshot.
    pub fn task(&self, instruction: &str, max_turns: usize) -> String {
        match self.style {
            PromptStyle::Brief => instruction.to_owned(),
            PromptStyle::Full => format!("Task: {instruction}\nYou have at most {max_turns} turns.\n"),
        }
    }

    /// The text after each screenshot; `turn` counts from 1, `error` tells why the last action was not carried out.
    pub fn turn(&self, turn: usize, max_turns: usize, error: Option<&str>) -> String {
        let (limit, ask) = match self.style {
            PromptStyle::Brief => (BRIEF_ERROR, ""),
            PromptStyle::Full => (FULL_ERROR, " Look at the screenshot and take the next action."),
        };
        match error {
            None => format!("Turn {turn}/{max_turns}.{ask}"),
            Some(error) => {
                let shown: String = error.chars().take(limit).collect();
                format!("Error: {shown}. Turn {turn}/{max_turns}.{ask}")
            }
        }
    }

    fn full_system(&self) -> String {
        let tools: Vec<String> = tools(self.targets).iter().map(python_json).collect();
        let place = |name: &str, x: f64, y: f64| match self.targets {
            TargetStyle::Description => Target::element(name),
            TargetStyle::Coordinate => Target::Coordinate { x, y },
        };
        let examples = [
            Action::Click {
                target: place("Settings app icon", 620.0, 410.0),
                option: Default::default(),
            },
            Action::Scroll {
                direction: Direction::Down,
                target: None,
                distance: None,
            },
            Action::Swipe {
                path: SwipePath::Towards(Direction::Left),
            },
            Action::Input {
                text: "hello".to_owned(),
                target: Some(place("search field", 500.0, 90.0)),
            },
            Action::ButtonPress {
                button: ButtonName::Back,
            },
            Action::Report {
                success: true,
                message: Some("The setting is changed.".to_owned()),
            },
        ];
        let examples: Vec<String> = examples.iter().map(to_reply).collect();
        let places = match self.targets {
            TargetStyle::Description => {
                "- Describe a target so that it can be told from everything else on the screen; `element` is what it \
                 says or what it is."
            }
            TargetStyle::Coordinate => {
                "- Give places as [x, y], each from 0 to 1000, from the upper left corner of the screenshot."
            }
        };
        format!(
            "You operate an Android phone for its user. Every turn shows a screenshot of the phone; answer with exactly \
             one tool call.\n\n# Tools\n\nThe signatures of the tools, between <tools> and </tools>:\n<tools>\n{}\n\
             </tools>\n\nA call is a JSON object with the name of the tool and its arguments, between <tool_call> and \
             </tool_call>.\n\n# Examples\n\n{}\n\n# Rules\n\n{places}\n\
             - Scrolling down shows what is below; swiping left shows the page to the right.\n\
             - Close a dialog that is in the way first.\n\
             - Look whether the last action had its effect; do not repeat one that had none.\n\
             - As soon as the task is done, or cannot be done, call report_task_complete. Claim success only for what \
             you saw on the screen.",
            tools.join("\n"),
            examples.join("\n\n"),
        )
    }
}

/// The three tools as function schemas in the form that chat templates take.
pub fn tools(targets: TargetStyle) -> Vec<Value> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let place = |about: &str| match targets {
        TargetStyle::Description => json!({
            "type": "object",
            "description": about,
            "properties": {
                "element": text("What it is or says."),
                "label": text("Its text."),
                "color": text("Its colour."),
                "size": text("Its size."),
                "location": text("Where on the screen it is."),
                "shape": text("Its shape."),
            },
            "required": ["element"],
        }),
        TargetStyle::Coordinate => json!({
            "type": "array",
            "description": about,
            "items": {"type": "number", "minimum": 0, "maximum": 1000},
            "minItems": 2,
            "maxItems": 2,
        }),
    };
    let (target, start, end) = match targets {
        TargetStyle::Description => ("target", "start_target", "end_target"),
        TargetStyle::Coordinate => ("coordinate", "start_coordinate", "end_coordinate"),
    };
    let perform = json!({
        "type": "object",
        "properties": {
            "action_type": {
                "type": "string",
                "enum": ["click", "swipe", "scroll", "input", "key_press", "button_press"],
            },
            "option": {"type": "string", "enum": ["left", "right", "double"], "description": "How to click."},
            target: place("Where to click, scroll or type."),
            start: place("Where a swipe starts."),
            end: place("Where a swipe ends."),
            "direction": {
                "type": "string",
                "enum": ["up", "down", "left", "right"],
                "description": "Where the finger of a swipe moves to, or what a scroll shows.",
            },
            "distance": {"type": "number", "description": "Pixels to scroll; half a screen if left out."},
            "text": text("What to type."),
            "keys": {"type": "array", "items": {"type": "string"}, "description": "Keys such as enter or backspace."},
            "button": {"type": "string", "enum": ["back", "home", "menu"]},
        },
        "required": ["action_type"],
    });
    let sleep = json!({
        "type": "object",
        "properties": {"duration": {"type": "number", "minimum": 0.1, "maximum": 60, "description": "Seconds."}},
        "required": ["duration"],
    });
    let report = json!({
        "type": "object",
        "properties": {
            "success": {"type": "boolean", "description": "Is the task done?"},
            "result_message": text("What was done, or why it cannot be done."),
        },
        "required": ["success"],
    });
    let tool = |name: &str, about: &str, parameters: Value| json!({"type": "function", "function": {"name": name, "description": about, "parameters": parameters}});
    vec![
        tool(
            "perform_action",
            "Touch the screen, type, or press keys or buttons of the phone.",
            perform,
        ),
        tool("sleep", "Wait until the screen has changed.", sleep),
        tool("report_task_complete", "End the task.", report),
    ]
}
