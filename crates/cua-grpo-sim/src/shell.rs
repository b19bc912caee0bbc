//! The shell of the phone: the few commands that tasks and validators use, in the syntax of a POSIX shell.

use crate::{phone::Phone, shell_commands::run};
use std::collections::BTreeMap;

/// Longest command line with the values of its variables, in bytes: as long as Linux takes an argument.
const LONGEST_LINE: usize = 128 * 1024;
/// Commands that a line may have.
const MOST_COMMANDS: usize = 1000;
/// Largest output of a line, in bytes.
const LARGEST_OUTPUT: usize = 1024 * 1024;

/// What a command left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShellOutput {
    /// Its output.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
    /// 0 on success, 127 for a command that does not exist here.
    pub exit_code: i32,
}

impl ShellOutput {
    pub(crate) fn ok(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    pub(crate) fn fail(exit_code: i32, stderr: impl std::fmt::Display) -> Self {
        Self {
            stdout: String::new(),
            stderr: format!("{stderr}\n"),
            exit_code,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Pipe,
    Or,
    And,
    Then,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Operator(Operator),
}

impl Phone {
    /// Runs a command line: words with quotes and `$NAME`, joined by `|`, `||`, `&&` and `;`.
    ///
    /// Known are `settings`, `dumpsys window|activity`, `am start -n`, `input keyevent`, `content query|insert|update`,
    /// `grep` and `echo`; any other command leaves 127, as a shell does for what it cannot find.
    pub fn shell(&mut self, line: &str) -> ShellOutput {
        self.shell_with(line, &BTreeMap::new())
    }

    /// [`Phone::shell`] with environment variables for `$NAME`.
    ///
    /// A line of more than 128 KiB with the values of its variables, or of more than 1,000 commands, is not run. Output
    /// ends at 1 MiB.
    pub fn shell_with(&mut self, line: &str, variables: &BTreeMap<String, String>) -> ShellOutput {
        let tokens = match tokens(line, variables) {
            Ok(tokens) => tokens,
            Err(message) => return ShellOutput::fail(2, format!("sh: syntax error: {message}")),
        };
        let operators = tokens
            .iter()
            .filter(|token| matches!(token, Token::Operator(_)))
            .count();
        if operators >= MOST_COMMANDS {
            return ShellOutput::fail(2, format!("sh: more than {MOST_COMMANDS} commands in a line"));
        }
        let mut total = ShellOutput::default();
        let mut before = Operator::Then;
        for (pipeline, after) in split(tokens) {
            let wanted = match before {
                Operator::Or => total.exit_code != 0,
                Operator::And => total.exit_code == 0,
                Operator::Then | Operator::Pipe => true,
            };
            before = after;
            if pipeline.is_empty() && after == Operator::Then {
                continue;
            }
            if wanted {
                let output = self.pipeline(&pipeline);
                total.stdout.push_str(&output.stdout);
                total.stderr.push_str(&output.stderr);
                total.exit_code = output.exit_code;
            }
            if total.stdout.len().max(total.stderr.len()) > LARGEST_OUTPUT {
                cut(&mut total.stdout);
                cut(&mut total.stderr);
                total.stderr.push_str("sh: output beyond 1 MiB was cut off\n");
                total.exit_code = 1;
                break;
            }
        }
        total
    }

    fn pipeline(&mut self, commands: &[Vec<String>]) -> ShellOutput {
        let mut output = ShellOutput::default();
        let mut complaints = String::new();
        for command in commands {
            let Some((name, arguments)) = command.split_first() else {
                return ShellOutput::fail(2, "sh: syntax error: expected a command, got nothing");
            };
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            output = run(self, name, &arguments, &output.stdout);
            complaints.push_str(&output.stderr);
        }
        output.stderr = complaints;
        output
    }
}

/// Shortens text to the largest output, at the end of a character.
fn cut(text: &mut String) {
    let mut end = LARGEST_OUTPUT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Splits tokens into pipelines (lists of commands) and the operator behind each.
fn split(tokens: Vec<Token>) -> Vec<(Vec<Vec<String>>, Operator)> {
    let mut lines = Vec::new();
    let mut pipeline: Vec<Vec<String>> = Vec::new();
    let mut command = Vec::new();
    let mut piped = false;
    for token in tokens {
        match token {
            Token::Word(word) => command.push(word),
            Token::Operator(Operator::Pipe) => {
                pipeline.push(std::mem::take(&mut command));
                piped = true;
            }
            Token::Operator(operator) => {
                if piped || !command.is_empty() || operator != Operator::Then {
                    pipeline.push(std::mem::take(&mut command));
                }
                lines.push((std::mem::take(&mut pipeline), operator));
                piped = false;
            }
        }
    }
    if piped || !command.is_empty() {
        pipeline.push(command);
    }
    lines.push((pipeline, Operator::Then));
    lines
}

fn tokens(line: &str, variables: &BTreeMap<String, String>) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars().peekable();
    let mut room = LONGEST_LINE
        .checked_sub(line.len())
        .ok_or_else(|| too_long("the line"))?;
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let target = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(inside) => target.push(inside),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let target = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') if matches!(letters.peek(), Some('"' | '\\' | '$' | '`')) => {
                            target.extend(letters.next());
                        }
                        Some('$') => target.push_str(variable(&mut letters, variables, &mut room)?),
                        Some(inside) => target.push(inside),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            '$' => {
                let value = variable(&mut letters, variables, &mut room)?;
                word.get_or_insert_default().push_str(value);
            }
            ';' | '\n' | '|' | '&' => {
                tokens.extend(word.take().map(Token::Word));
                let twice = letters.peek() == Some(&letter);
                let operator = match (letter, twice) {
                    ('|', true) => Operator::Or,
                    ('|', false) => Operator::Pipe,
                    ('&', true) => Operator::And,
                    ('&', false) => return Err("background jobs are not supported here".to_owned()),
                    _ => Operator::Then,
                };
                if matches!(operator, Operator::Or | Operator::And) {
                    letters.next();
                }
                tokens.push(Token::Operator(operator));
            }
            '<' | '>' | '`' | '(' | ')' => return Err(format!("{letter:?} is not supported here")),
            space if space.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            other => word.get_or_insert_default().push(other),
        }
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

fn too_long(what: &str) -> String {
    format!("{what} is longer than {LONGEST_LINE} bytes")
}

/// The value of the variable whose name follows; an unknown one is empty, a lone `$` stands for itself. `room` is what
/// values may still add to the line.
fn variable<'a>(
    letters: &mut std::iter::Peekable<std::str::Chars>,
    variables: &'a BTreeMap<String, String>,
    room: &mut usize,
) -> Result<&'a str, String> {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    if name.is_empty() {
        return Ok("$");
    }
    let value = variables.get(&name).map_or("", String::as_str);
    *room = room
        .checked_sub(value.len())
        .ok_or_else(|| too_long("the line with its variables"))?;
    Ok(value)
}
