//! Flags of the subcommands that use a model without a run: `score`, `generate`, `merge`.

use clap::{ArgGroup, Args, ValueEnum};
use cua_grpo_model::processor::Literals;
use std::path::PathBuf;

/// Flags that name a model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// `starter`, or a folder in the Hugging Face layout [default: the base of the adapter]
    #[arg(long, value_name = "DIR", required_unless_present = "adapter")]
    pub model: Option<String>,
    /// A run folder, or best_model, final or a checkpoint of one, or any adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// cpu, cuda or cuda:N [default: that of the adapter's run, else cpu]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Number format of the weights [default: that of the adapter's run, else f32]
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub dtype: Option<String>,
    /// Round the linear maps to 4 bits (NF4), the rest is as --dtype says [default: as in the adapter's run]
    #[arg(long, conflicts_with = "no_4bit")]
    pub load_in_4bit: bool,
    /// Keep the linear maps as --dtype says
    #[arg(long = "no-4bit")]
    pub no_4bit: bool,
    /// Most pixels of a picture that the model sees, as its processor resizes; 0 means the model's own [default: as in the
    /// adapter's run]
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<usize>,
    /// Fewest pixels; smaller pictures are scaled up
    #[arg(long, value_name = "N")]
    pub min_pixels: Option<usize>,
    /// What a literal such as <|im_end|> inside a message means
    #[arg(long, value_enum, value_name = "HOW", default_value_t = SpecialTokens::Parse)]
    pub special_tokens: SpecialTokens,
}

/// How literals of control tokens inside messages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpecialTokens {
    /// The control token, as transformers reads it
    Parse,
    /// Plain text, as training reads what comes from a device or a task
    Escape,
}

impl SpecialTokens {
    /// The same for the renderer.
    pub fn literals(self) -> Literals {
        match self {
            Self::Parse => Literals::Tokens,
            Self::Escape => Literals::Guarded,
        }
    }
}

/// Flags of `score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// JSON file with the conversation: {"messages": [...], "tools": [...]}; pictures as {"type": "image", "image": PATH},
    /// relative to the file
    #[arg(long, value_name = "IN")]
    pub messages: PathBuf,
    /// JSON file to write: input_ids, logprobs, position_ids, image_grid_thw
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
}

/// Flags of `generate`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").required(true).args(["prompt", "messages"])))]
pub struct GenerateArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// What the user says
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "messages",
        conflicts_with = "messages"
    )]
    pub prompt: Option<String>,
    /// Picture shown before the prompt; may be repeated
    #[arg(long, value_name = "FILE", requires = "prompt")]
    pub image: Vec<PathBuf>,
    /// JSON file with the conversation so far, as for `score`
    #[arg(long, value_name = "IN")]
    pub messages: Option<PathBuf>,
    /// Most tokens of the reply [default: of generation_config.json, else 512]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_hyphen_values = true)]
    pub max_new_tokens: Option<usize>,
    /// Divides the logits, 0 takes the likeliest token [default: of generation_config.json]
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub temperature: Option<f32>,
    /// Keep the smallest set of tokens whose mass reaches this [default: of generation_config.json]
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub top_p: Option<f32>,
    /// Keep this many tokens, 0 keeps all [default: of generation_config.json]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Tokens that end the reply [default: eos_token_id of generation_config.json]
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with = "ignore_eos")]
    pub stop_token: Vec<u32>,
    /// Go on after tokens that end a reply
    #[arg(long)]
    pub ignore_eos: bool,
    /// Seed of the draws
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// JSON file to write: prompt_ids, ids, text, logprobs, kept_mass, stop, sampling
    #[arg(long, value_name = "OUT")]
    pub json: Option<PathBuf>,
}

/// Flags of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// `starter`, or a folder in the Hugging Face layout: the model that the adapter was trained on [default: the one
    /// that the adapter names]
    #[arg(long, value_name = "DIR")]
    pub model: Option<String>,
    /// A run folder, or best_model, final or a checkpoint of one, or any adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Folder to make; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number format of the weights [default: that of the model, by its config.json; f32 where it is neither]
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub dtype: Option<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| *value > 0);
    value.ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}
