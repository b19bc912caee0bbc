//! Lines for the user and the events of all crates, as text or as JSON, on standard error and in `log.txt`.

use super::{log_file, terminal};
use clap::ValueEnum;
use cua_grpo_train::plain::{Form, message};
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// What events look like when RUST_LOG does not say otherwise: warnings of our crates, errors of others. A name stands for
/// all that begin with it.
const ON_TERMINAL: &str = "error,trainer=warn,cua_grpo=warn";
/// The same for the file, which also takes what is only of interest afterwards.
const IN_FILE: &str = "warn,trainer=info,cua_grpo=info";

/// Whether every line is a JSON object.
static JSON: AtomicBool = AtomicBool::new(false);
/// Whether events have colours on the terminal.
static COLOURS: AtomicBool = AtomicBool::new(false);

/// How lines on standard error and in `log.txt` look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, with `timestamp`, `level`, `message` and `target`.
    Json,
}

/// Shows the events of all crates from now on; once in a process, by the binary alone. The variable RUST_LOG chooses
/// which (`RUST_LOG=debug`, `RUST_LOG=cua_grpo_gbox=debug`); without it warnings of our crates are shown.
pub fn install(format: LogFormat) {
    let json = format == LogFormat::Json;
    JSON.store(json, Ordering::Relaxed);
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let mut wrong = None;
    let mut filter = |default: &str| {
        let given = wanted.as_ref().map(EnvFilter::try_new);
        match given {
            Some(Ok(filter)) => filter,
            Some(Err(error)) => {
                wrong = Some(error.to_string());
                EnvFilter::new(default)
            }
            None => EnvFilter::new(default),
        }
    };
    let (on_terminal, in_file) = (filter(ON_TERMINAL), filter(IN_FILE));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty());
    COLOURS.store(colours && !json, Ordering::Relaxed);
    let shown: Box<dyn Layer<Registry> + Send + Sync> = if json {
        layer().json().flatten_event(true).with_writer(Sink::Terminal).boxed()
    } else {
        let layer = layer().compact().without_time().with_ansi(colours);
        layer.with_writer(Sink::Terminal).boxed()
    };
    let kept: Box<dyn Layer<Registry> + Send + Sync> = if json {
        layer().json().flatten_event(true).with_writer(Sink::File).boxed()
    } else {
        layer().compact().with_ansi(false).with_writer(Sink::File).boxed()
    };
    let layers = vec![
        shown.with_filter(on_terminal).boxed(),
        kept.with_filter(in_file).boxed(),
    ];
    // Another subscriber stands only where the caller has put one, which then decides.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    if let Some(error) = wrong {
        let text = wanted.unwrap_or_default();
        warn(format!(
            "RUST_LOG is `{text}`: {error}. Write a level or crate=level, e.g. RUST_LOG=cua_grpo_gbox=debug"
        ));
    }
}

/// Lets the log go to `log.txt` in `folder`, behind what is there already.
pub fn open_log(folder: &Path) {
    if let Some(text) = log_file::open(folder) {
        warn_on_terminal(&text);
    }
}

fn to_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(text) = log_file::write(message(&text, form()).as_bytes()) {
        warn_on_terminal(&text);
    }
}

fn to_terminal(bytes: &[u8], form: Form) {
    terminal::write(message(&String::from_utf8_lossy(bytes), form).as_bytes());
}

/// The form of lines without colours.
fn form() -> Form {
    match JSON.load(Ordering::Relaxed) {
        true => Form::Json,
        false => Form::Text,
    }
}

/// A line for the user.
pub fn say(text: impl AsRef<str>) {
    put("INFO", text.as_ref(), text.as_ref(), true);
}

/// A line for the user about something that does not end the run.
pub fn warn(text: impl AsRef<str>) {
    put("WARN", text.as_ref(), &format!("warning: {}", text.as_ref()), true);
}

/// Why the command fails.
pub fn error(text: impl AsRef<str>) {
    put("ERROR", text.as_ref(), &format!("error: {}", text.as_ref()), true);
}

/// As [`warn`], where the file cannot be written.
fn warn_on_terminal(text: &str) {
    put("WARN", text, &format!("warning: {text}"), false);
}

fn put(level: &str, message: &str, shown: &str, keep: bool) {
    let stamp = now();
    let json = JSON.load(Ordering::Relaxed).then(|| {
        let line =
            json!({"timestamp": stamp, "level": level, "message": message.trim_matches('\n'), "target": "trainer"});
        format!("{line}\n")
    });
    if keep {
        let text = || format!("{stamp} {level:>5} trainer: {}\n", message.trim_matches('\n'));
        to_file(json.clone().unwrap_or_else(text).as_bytes());
    }
    to_terminal(json.unwrap_or_else(|| format!("{shown}\n")).as_bytes(), form());
}

/// The time as events carry it.
fn now() -> String {
    let mut text = String::new();
    // A clock that cannot be shown leaves the place empty.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text.trim_end().to_owned()
}

/// Where a layer writes; a line comes in one piece when the writer is dropped.
#[derive(Debug, Clone, Copy)]
enum Sink {
    Terminal,
    File,
}

/// Collects the line of one event.
struct Line {
    sink: Sink,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            sink: *self,
            bytes: Vec::new(),
        }
    }
}

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        match self.sink {
            Sink::Terminal if COLOURS.load(Ordering::Relaxed) => to_terminal(&self.bytes, Form::Coloured),
            Sink::Terminal => to_terminal(&self.bytes, form()),
            Sink::File => to_file(&self.bytes),
        }
    }
}
