//! Flags of the subcommands that use a model without a run: `score`.

use clap::Args;
use std::path::PathBuf;

/// Flags of `score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// `starter`, or a folder in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    pub model: String,
    /// Adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Number format
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    pub dtype: String,
    /// JSON file with the conversation: {"messages": [...], "tools": [...]}
    #[arg(long, value_name = "IN")]
    pub messages: PathBuf,
    /// JSON file to write
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
}

/// Whatever is given to a subcommand that comes later.
#[derive(Debug, Args)]
pub struct LaterArgs {
    /// Ignored: the subcommand stops with a message
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}
