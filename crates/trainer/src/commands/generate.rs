//! `trainer generate`: lets the model answer a prompt.

use super::messages;
use super::model::LoadedModel;
use crate::cli::GenerateArgs;
use crate::output;
use cua_grpo_core::{Prompt, SamplingParams, StopReason, TokenId};
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::generate::{GenerationConfig, Generator, LogitRules, Request};
use cua_grpo_model::processor::{ChatRenderer, Conversation, Tokenizer};
use cua_grpo_train::TrainError;
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Most tokens of a reply where neither a flag nor the checkpoint says.
const MAX_NEW_TOKENS: usize = 512;

/// The file that `--json` names.
#[derive(Debug, Serialize)]
struct Reply<'a> {
    prompt_ids: &'a [TokenId],
    /// Sampled tokens, the stop token included.
    ids: &'a [TokenId],
    /// Their text, without the stop token.
    text: &'a str,
    /// Natural log-prob of each token under the full vocabulary at the sampling temperature (1 when greedy).
    logprobs: &'a [f32],
    /// Mass of the tokens that top-k and top-p left to draw from.
    kept_mass: &'a [f32],
    stop: StopReason,
    stop_tokens: &'a [TokenId],
    sampling: &'a SamplingParams,
}

/// Prints the reply while it grows; figures go to standard error.
pub fn generate(arguments: &GenerateArgs) -> Result<(), TrainError> {
    if let Some(path) = &arguments.json {
        output::check_target("--json", path)?;
    }
    let conversation = match &arguments.messages {
        Some(path) => messages::read(path)?,
        None => Conversation::of_prompt(arguments.prompt.as_deref().unwrap_or_default(), &arguments.image),
    };
    check_ranges(arguments)?;
    let options = &arguments.model;
    let LoadedModel {
        folder,
        renderer,
        model,
    } = super::model::load(options)?;
    let mut wishes = Wishes::resolve(arguments, folder.path(), &renderer)?;
    let place = match arguments.stop_token.is_empty() {
        true => "generation_config.json: eos_token_id",
        false => "--stop-token",
    };
    let wrong = |error| TrainError::Usage(format!("{place}: {error}"));
    model.check_tokens(&wishes.stop).map_err(wrong)?;
    let encoded = messages::encode(&conversation, folder.path(), &renderer, options, true)?;
    if !encoded.videos.is_empty() {
        return Err(TrainError::Usage(
            "generate takes pictures but no clips; give the frames as pictures, or use `trainer score`".into(),
        ));
    }
    let prompt = Prompt::new(encoded.row.tokens).with_images(encoded.pictures);
    wishes.fit(prompt.tokens.len())?;
    let rules = std::mem::take(&mut wishes.rules);
    rules
        .check(model.config.text.vocab_size)
        .map_err(|error| TrainError::Usage(error.to_string()))?;
    let cache = ImageCache::new(renderer.images().clone(), prompt.images.len().max(1));
    let context = model.config.text.max_position_embeddings;
    let printer = Arc::new(Mutex::new(Printer::new(
        renderer.tokenizer().clone(),
        wishes.stop.clone(),
    )));
    let shown = Arc::clone(&printer);
    let lock = |printer: &Mutex<Printer>, act: &mut dyn FnMut(&mut Printer)| {
        act(&mut printer.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let mut generator = Generator::new(model, 0, Arc::new(cache), wishes.stop.clone(), context)
        .ruled(rules)
        .observed(Box::new(move |_, token| {
            lock(&shown, &mut |printer| printer.show(token))
        }));
    generator.open(0);
    let request = Request {
        session: 0,
        prompt,
        params: wishes.params.clone(),
    };
    generator
        .check(&request)
        .map_err(|error| TrainError::Usage(error.to_string()))?;
    let start = Instant::now();
    let completion = generator
        .generate(std::slice::from_ref(&request))
        .map_err(anyhow::Error::from)?;
    let completion = completion
        .into_iter()
        .next()
        .ok_or_else(|| anyhow::anyhow!("no completion came back"))?;
    if let Some(flaw) = completion.flaw() {
        return Err(anyhow::anyhow!("sample: {flaw}").into());
    }
    let said = match (completion.stop, completion.tokens.split_last()) {
        (StopReason::Stop, Some((_, before))) => before,
        _ => &completion.tokens,
    };
    let text = renderer.tokenizer().decode(said);
    let (mut first, mut printed) = (None, Ok(()));
    lock(&printer, &mut |printer| {
        printed = printer.finish(&text);
        first = printer.first;
    });
    printed?;
    let prefill = first.map_or(0.0, |first: Instant| (first - start).as_secs_f64());
    let decode = start.elapsed().as_secs_f64() - prefill;
    let (read, count) = (request.prompt.tokens.len(), completion.tokens.len());
    let rate = if count > 1 { (count - 1) as f64 / decode } else { 0.0 };
    output::say(format!(
        "prompt: {read} tokens in {prefill:.2} s; reply: {count} tokens in {decode:.2} s, {rate:.1} a second; ended by {}",
        match completion.stop {
            StopReason::Stop => "a stop token",
            StopReason::MaxTokens => "--max-new-tokens",
            StopReason::ContextFull => "the end of the context",
        }
    ));
    if let Some(path) = &arguments.json {
        let reply = Reply {
            prompt_ids: &request.prompt.tokens,
            ids: &completion.tokens,
            text: &text,
            logprobs: &completion.logprobs,
            kept_mass: &completion.kept_mass,
            stop: completion.stop,
            stop_tokens: &wishes.stop,
            sampling: &wishes.params,
        };
        output::write_json(path, &reply)?;
    }
    Ok(())
}

fn check_ranges(arguments: &GenerateArgs) -> Result<(), TrainError> {
    let wrong = |flag: &str, expected: &str, found: f32| {
        Err(TrainError::Usage(format!("{flag}: expected {expected}, found {found}")))
    };
    match (arguments.temperature, arguments.top_p) {
        (Some(found), _) if !(found >= 0.0 && found.is_finite()) => wrong("--temperature", "0 or more", found),
        (_, Some(found)) if !(found > 0.0 && found <= 1.0) => wrong("--top-p", "more than 0, at most 1", found),
        _ => Ok(()),
    }
}

/// How to sample: flags, then the checkpoint's `generation_config.json`, then transformers' defaults.
#[derive(Debug)]
struct Wishes {
    params: SamplingParams,
    stop: Vec<TokenId>,
    /// Most tokens of prompt and reply, where nothing says how long a reply may be.
    max_length: Option<usize>,
    rules: LogitRules,
}

impl Wishes {
    fn resolve(arguments: &GenerateArgs, model: &Path, renderer: &ChatRenderer) -> Result<Self, TrainError> {
        let file = GenerationConfig::load(model).map_err(|error| TrainError::Usage(error.to_string()))?;
        let file = match file {
            Some(file) => file,
            None => {
                let wrong = |error: cua_grpo_model::ModelError| TrainError::Usage(error.to_string());
                let eos_token_id = GenerationConfig::stop_of_model(model).map_err(wrong)?;
                let until = match &eos_token_id[..] {
                    [] => "<|im_end|> or <|endoftext|>".to_owned(),
                    ids => format!("eos_token_id of config.json ({ids:?})"),
                };
                output::say(format!(
                    "no generation_config.json: greedy, until {until}, where flags do not say"
                ));
                GenerationConfig {
                    eos_token_id,
                    ..GenerationConfig::default()
                }
            }
        };
        for warning in &file.not_applied {
            output::warn(format!("generation_config.json: {warning}"));
        }
        let special = renderer.tokenizer().special();
        let stop = if arguments.ignore_eos {
            Vec::new()
        } else if !arguments.stop_token.is_empty() {
            arguments.stop_token.clone()
        } else if !file.eos_token_id.is_empty() {
            file.eos_token_id
        } else {
            // Transformers ends no reply then.
            if model.join("generation_config.json").is_file() {
                output::say(
                    "generation_config.json names no eos_token_id: until <|im_end|> or <|endoftext|>; --ignore-eos goes on",
                );
            }
            vec![special.im_end, special.endoftext]
        };
        let temperature = arguments
            .temperature
            .unwrap_or(if file.do_sample { file.temperature } else { 0.0 });
        let most = arguments.max_new_tokens.or(file.max_new_tokens);
        Ok(Self {
            params: SamplingParams::new(most.unwrap_or(MAX_NEW_TOKENS).max(1))
                .with_temperature(temperature)
                .with_top_p(arguments.top_p.unwrap_or(file.top_p))
                .with_top_k(arguments.top_k.unwrap_or(file.top_k))
                .with_seed(arguments.seed),
            stop,
            max_length: file.max_length.filter(|_| most.is_none()),
            rules: file.rules,
        })
    }

    /// Cuts the reply to what `max_length` leaves beside a prompt of so many tokens.
    fn fit(&mut self, prompt: usize) -> Result<(), TrainError> {
        let Some(most) = self.max_length else { return Ok(()) };
        if most <= prompt {
            return Err(TrainError::Usage(format!(
                "generation_config.json: max_length {most} leaves no room beside a prompt of {prompt} tokens; give --max-new-tokens"
            )));
        }
        self.params.max_new_tokens = most - prompt;
        Ok(())
    }
}

/// Prints text as its tokens come: a character only once all its bytes are there.
struct Printer {
    tokenizer: Arc<Tokenizer>,
    stop: Vec<TokenId>,
    tokens: Vec<TokenId>,
    /// Bytes of the text that are printed.
    printed: usize,
    first: Option<Instant>,
    failure: Option<anyhow::Error>,
}

impl Printer {
    fn new(tokenizer: Arc<Tokenizer>, stop: Vec<TokenId>) -> Self {
        Self {
            tokenizer,
            stop,
            tokens: Vec::new(),
            printed: 0,
            first: None,
            failure: None,
        }
    }

    fn show(&mut self, token: TokenId) {
        self.first.get_or_insert_with(Instant::now);
        if self.stop.contains(&token) {
            return;
        }
        self.tokens.push(token);
        let text = self.tokenizer.decode(&self.tokens);
        // The bytes of a character may come in several tokens; until then its place holds U+FFFD.
        self.print(text.trim_end_matches('\u{FFFD}'));
    }

    fn print(&mut self, text: &str) {
        if let Some(new) = text
            .get(self.printed..)
            .filter(|new| !new.is_empty() && self.failure.is_none())
        {
            self.failure = output::piece(new).err();
            self.printed = text.len();
        }
    }

    /// Prints what is left of `text`, and the end of the line.
    fn finish(&mut self, text: &str) -> Result<(), TrainError> {
        self.print(text);
        match self.failure.take() {
            Some(failure) => Err(failure.into()),
            None => Ok(output::line("")?),
        }
    }
}
