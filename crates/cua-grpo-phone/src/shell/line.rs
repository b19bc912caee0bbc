//! The syntax of a POSIX shell, for whoever has commands: words with quotes and variables, pipes, `&&`, `||`, `;` and
//! redirections.

use std::{borrow::Cow, collections::BTreeMap};

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
    /// Success with an output.
    pub fn ok(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// A failure with a complaint, to which a line end is added.
    pub fn fail(exit_code: i32, stderr: impl std::fmt::Display) -> Self {
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

/// Where output goes in place of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Redirect {
    /// 1 or 2.
    stream: u8,
    to: Sink,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sink {
    /// The other stream.
    Stream,
    /// A file, which is begun anew or appended to.
    File { path: String, append: bool },
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Operator(Operator),
    /// The next word is the file.
    Into {
        stream: u8,
        append: bool,
    },
    Merge {
        stream: u8,
    },
}

/// A command of a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Simple {
    words: Vec<String>,
    redirects: Vec<Redirect>,
}

/// What a command line is run with.
pub trait Commands {
    /// Runs one command with what was piped into it.
    fn run(&mut self, name: &str, arguments: &[&str], input: &str) -> ShellOutput;

    /// Writes what was redirected into a file; `/dev/null` is not asked for.
    ///
    /// # Errors
    /// What the shell says where it cannot.
    fn write(&mut self, path: &str, text: &str, append: bool) -> Result<(), String>;

    /// Whether the rest of the line is not to be run.
    fn is_over(&self) -> bool {
        false
    }
}

/// Runs a command line: words with quotes and `$NAME`, joined by `|`, `||`, `&&` and `;`, with redirections.
///
/// A line of more than 128 KiB with the values of its variables, or of more than 1,000 commands, is not run. Output
/// ends at 1 MiB.
pub fn execute(commands: &mut dyn Commands, line: &str, variables: &BTreeMap<String, String>) -> ShellOutput {
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
    let lines = match split(tokens) {
        Ok(lines) => lines,
        Err(message) => return ShellOutput::fail(2, format!("sh: syntax error: {message}")),
    };
    let mut total = ShellOutput::default();
    let mut before = Operator::Then;
    for (commands_of_line, after) in lines {
        let wanted = match before {
            Operator::Or => total.exit_code != 0,
            Operator::And => total.exit_code == 0,
            Operator::Then | Operator::Pipe => true,
        };
        before = after;
        if commands_of_line.is_empty() && after == Operator::Then {
            continue;
        }
        if wanted {
            let output = pipeline(commands, &commands_of_line);
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
        if commands.is_over() {
            break;
        }
    }
    total
}

fn pipeline(commands: &mut dyn Commands, simple: &[Simple]) -> ShellOutput {
    let mut output = ShellOutput::default();
    let mut complaints = String::new();
    for command in simple {
        let Some((name, arguments)) = command.words.split_first() else {
            return ShellOutput::fail(2, "sh: syntax error: expected a command, got nothing");
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        output = commands.run(name, &arguments, &output.stdout);
        for redirect in &command.redirects {
            divert(commands, &mut output, redirect);
        }
        complaints.push_str(&output.stderr);
    }
    output.stderr = complaints;
    output
}

/// Sends a stream of a command elsewhere.
fn divert(commands: &mut dyn Commands, output: &mut ShellOutput, redirect: &Redirect) {
    let (from, other) = if redirect.stream == 1 {
        (&mut output.stdout, &mut output.stderr)
    } else {
        (&mut output.stderr, &mut output.stdout)
    };
    let text = std::mem::take(from);
    match &redirect.to {
        Sink::Stream => other.push_str(&text),
        Sink::File { path, .. } if path == "/dev/null" => {}
        Sink::File { path, append } => {
            if let Err(message) = commands.write(path, &text, *append) {
                output.stderr.push_str(&format!("sh: {message}\n"));
                output.exit_code = 1;
            }
        }
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

/// A pipeline and the operator behind it.
type Line = (Vec<Simple>, Operator);

/// Splits tokens into pipelines (lists of commands) and the operator behind each.
fn split(tokens: Vec<Token>) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut pipeline: Vec<Simple> = Vec::new();
    let mut command = Simple::default();
    let mut piped = false;
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => command.words.push(word),
            Token::Into { stream, append } => {
                let Some(Token::Word(path)) = tokens.next() else {
                    return Err("expected a file behind >, got none".to_owned());
                };
                let to = Sink::File { path, append };
                command.redirects.push(Redirect { stream, to });
            }
            Token::Merge { stream } => command.redirects.push(Redirect {
                stream,
                to: Sink::Stream,
            }),
            Token::Operator(Operator::Pipe) => {
                pipeline.push(std::mem::take(&mut command));
                piped = true;
            }
            Token::Operator(operator) => {
                if piped || !command.words.is_empty() || operator != Operator::Then {
                    pipeline.push(std::mem::take(&mut command));
                }
                lines.push((std::mem::take(&mut pipeline), operator));
                piped = false;
            }
        }
    }
    if piped || !command.words.is_empty() {
        pipeline.push(command);
    }
    lines.push((pipeline, Operator::Then));
    Ok(lines)
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
                        Some('$') => target.push_str(&expansion(&mut letters, variables, &mut room)?),
                        Some(inside) => target.push(inside),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            '$' => {
                let value = expansion(&mut letters, variables, &mut room)?;
                word.get_or_insert_default().push_str(&value);
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
            '>' => {
                // A lone 1 or 2 right before it is the stream.
                let stream = match word.as_deref() {
                    Some("1") => 1,
                    Some("2") => 2,
                    _ => {
                        tokens.extend(word.take().map(Token::Word));
                        1
                    }
                };
                word = None;
                tokens.push(redirection(&mut letters, stream)?);
            }
            '#' if word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            '<' | '`' | '(' | ')' => return Err(format!("{letter:?} is not supported here")),
            space if space.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            other => word.get_or_insert_default().push(other),
        }
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

/// What follows a `>`.
fn redirection(letters: &mut std::iter::Peekable<std::str::Chars>, stream: u8) -> Result<Token, String> {
    if letters.next_if_eq(&'&').is_some() {
        let wanted = if stream == 1 { '2' } else { '1' };
        return match letters.next_if_eq(&wanted) {
            Some(_) => Ok(Token::Merge { stream }),
            None => Err(format!("expected {stream}>&{wanted}")),
        };
    }
    let append = letters.next_if_eq(&'>').is_some();
    Ok(Token::Into { stream, append })
}

fn too_long(what: &str) -> String {
    format!("{what} is longer than {LONGEST_LINE} bytes")
}

/// What stands for what follows a `$`: the value of `((1 + 2))`, or of a variable.
fn expansion<'a>(
    letters: &mut std::iter::Peekable<std::str::Chars>,
    variables: &'a BTreeMap<String, String>,
    room: &mut usize,
) -> Result<Cow<'a, str>, String> {
    let mut ahead = letters.clone();
    if ahead.next() != Some('(') || ahead.next() != Some('(') {
        return variable(letters, variables, room).map(Cow::Borrowed);
    }
    *letters = ahead;
    let (mut inside, mut depth) = (String::new(), 0_usize);
    for letter in letters.by_ref() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            _ => {}
        }
        inside.push(letter);
    }
    match letters.next() {
        Some(')') => super::arithmetic::value(&inside).map(|value| Cow::Owned(value.to_string())),
        _ => Err("$(( is not closed by ))".to_owned()),
    }
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
        let special = |letter: &char| "@*#".contains(*letter) && variables.contains_key(&letter.to_string());
        match letters.next_if(special) {
            Some(letter) => name.push(letter),
            None => return Ok("$"),
        }
    }
    let value = variables.get(&name).map_or("", String::as_str);
    *room = room
        .checked_sub(value.len())
        .ok_or_else(|| too_long("the line with its variables"))?;
    Ok(value)
}
