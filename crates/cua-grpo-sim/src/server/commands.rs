//! Shell commands and code: from bodies to what the shell of the box makes of them.

use super::{
    reply::{ApiError, read},
    state::{Shared, duration},
};
use crate::device::{Script, WORKING_FOLDER, resolve};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use cua_grpo_gbox::wire::CommandResult;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

/// Text to run: one, or a list as old clients send it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    /// As one text: a list is a command and its arguments, or, where its first entry has several words, lines.
    fn text(self) -> String {
        match self {
            Self::One(text) => text,
            Self::Many(list) if list.first().is_some_and(|first| first.contains(char::is_whitespace)) => {
                list.join("\n")
            }
            Self::Many(list) => {
                let quoted = list.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''")));
                quoted.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// Body of `commands`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandBody {
    #[serde(alias = "commands")]
    command: Lines,
    #[serde(flatten)]
    around: Around,
}

/// Body of `run-code`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CodeBody {
    code: String,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    argv: Vec<String>,
    #[serde(flatten)]
    around: Around,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    Bash,
    #[serde(alias = "python3")]
    Python,
    Typescript,
}

/// What both have.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Around {
    #[serde(default)]
    envs: BTreeMap<String, String>,
    timeout: Option<String>,
    working_dir: Option<String>,
}

/// Something to run on a box.
#[derive(Debug)]
pub(super) struct Job {
    text: String,
    /// What is missing on this phone to run it.
    missing: Option<&'static str>,
    variables: BTreeMap<String, String>,
    folder: String,
    budget: Duration,
}

impl Job {
    fn new(text: String, around: Around) -> Result<Self, ApiError> {
        let budget = duration("timeout", around.timeout.as_deref(), DEFAULT_TIMEOUT)?;
        if budget > LONGEST_TIMEOUT {
            return Err(ApiError::bad("timeout: expected at most 1h"));
        }
        let folder = around.working_dir.as_deref().unwrap_or(WORKING_FOLDER);
        Ok(Self {
            text,
            missing: None,
            variables: around.envs,
            folder: resolve(WORKING_FOLDER, folder)?,
            budget,
        })
    }

    pub fn command(body: CommandBody) -> Result<Self, ApiError> {
        Self::new(body.command.text(), body.around)
    }

    /// A command line alone.
    pub fn plain(command: &str) -> Result<Self, ApiError> {
        Self::new(command.to_owned(), Around::default())
    }

    /// Code for the shell is run; a phone has no Python and no TypeScript, and says so as a shell does.
    pub fn code(body: CodeBody) -> Result<Self, ApiError> {
        let mut job = Self::new(body.code, body.around)?;
        job.missing = match body.language {
            Language::Bash => None,
            Language::Python => Some("python3"),
            Language::Typescript => Some("node"),
        };
        let count = body.argv.len();
        job.variables.insert("@".to_owned(), body.argv.join(" "));
        job.variables.insert("#".to_owned(), count.to_string());
        job.variables.insert("0".to_owned(), "bash".to_owned());
        let numbers = (1..).map(|number: usize| number.to_string());
        job.variables.extend(numbers.zip(body.argv));
        Ok(job)
    }

    /// Runs it on a box that runs, and waits as long as it takes, where time passes at all.
    pub async fn run(self, state: &Shared, id: &str) -> Result<CommandResult, ApiError> {
        let (output, waited) = state.with_running(id, |device, object| {
            let mut variables = object.config.envs.clone();
            variables.extend(self.variables);
            let line = match self.missing {
                Some(program) => program,
                None => &self.text,
            };
            Ok(device.shell(&Script {
                line,
                variables: &variables,
                folder: &self.folder,
                budget: self.budget,
            }))
        })?;
        if !state.config.virtual_clock {
            tokio::time::sleep(waited).await;
        }
        Ok(CommandResult {
            stdout: output.stdout,
            stderr: output.stderr,
            exit_code: i64::from(output.exit_code),
        })
    }
}

pub(super) async fn commands(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<CommandResult>, ApiError> {
    let job = Job::command(read("command", &body)?)?;
    job.run(&state, &id).await.map(Json)
}

pub(super) async fn run_code(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<CommandResult>, ApiError> {
    let job = Job::code(read("code", &body)?)?;
    job.run(&state, &id).await.map(Json)
}
