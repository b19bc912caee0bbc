//! Flags of `sim` and `report`.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;

/// Flags of `sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8780")]
    pub bind: std::net::SocketAddr,
    /// Boxes that may exist at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub quota: usize,
    /// Key that clients must send; without it any is accepted
    #[arg(long, value_name = "KEY", env = "GBOX_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Milliseconds that every request takes on top
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = RangedU64ValueParser::<u64>::new().range(0..=3_600_000))]
    pub latency_ms: u64,
    /// Fraction of requests that fail, to try out robustness
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction, allow_hyphen_values = true)]
    pub fault_rate: f64,
    /// Fraction of actions that are refused as if the policy had asked for nonsense
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction, allow_hyphen_values = true)]
    pub refuse_rate: f64,
    /// What goes wrong with a fraction of requests, as KIND=FRACTION; may be repeated. Kinds: unavailable, limited,
    /// unavailable-after, limited-after, hang, hang-after, drop, truncate, endless, huge, stuck
    #[arg(long, value_name = "KIND=FRACTION")]
    pub mishap: Vec<cua_grpo_sim::MishapShare>,
    /// The phones of boxes: small (192x384, made for tiny models) or pixel (a full phone)
    #[arg(long, value_name = "KIND", default_value_t = cua_grpo_sim::PhoneKind::Small)]
    pub phone: cua_grpo_sim::PhoneKind,
    /// Pixels of a full phone's screen [default: 540x1200]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    pub size: Option<(u32, u32)>,
    /// Dots per inch of a full phone's screen [default: as many as leave the layout of 1080x2400 at 420]
    #[arg(long, value_name = "DPI", value_parser = RangedU64ValueParser::<u32>::new().range(72..=1000))]
    pub density: Option<u32>,
    /// Whether full phones have dark pages; without it each seed says
    #[arg(long, value_name = "BOOL")]
    pub dark: Option<bool>,
    /// The language that full phones say they have, e.g. fr-FR; their texts are English
    #[arg(long, value_name = "TAG")]
    pub locale: Option<String>,
    /// Seed of the injected faults
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (200..=4096).contains(side));
    let sides = text.split_once('x');
    let sides = sides.and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| "expected WIDTHxHEIGHT of 200 to 4096 pixels each, e.g. 1080x2400".to_owned())
}

fn fraction(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "expected a fraction, 0 to 1".to_owned())
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run folder, or a folder of it: best_model, final, a checkpoint
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Write the report to this file [default: report.html in the run folder]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
