//! How many turns of an episode a context holds, before one is played.

use super::numbers::grouped;
use crate::config::TrainConfig;
use crate::error::TrainError;
use cua_grpo_core::{Fault, Message, Renderer, Role};
use cua_grpo_model::processor::{ImageProcessorConfig, ProcessorError};
use cua_grpo_rollout::DROPPED_SCREENSHOT;
use serde::Serialize;

/// Tokens of a reply that turns are counted with, where `max_new_tokens` is not less: a tool call of the shipped prompts takes
/// 30 to 70.
pub const REPLY: usize = 128;
/// Tokens around a screenshot.
const AROUND: usize = 2;
/// Bytes of a token where no tokenizer is at hand, on the safe side of what the released one makes of the prompts.
const BYTES: usize = 3;
/// Tokens of the template around the messages of a turn, where none is at hand.
const TEMPLATE: usize = 16;
/// Most turns that are looked for.
const MOST: usize = 100_000;

/// Tokens of the text that a policy is told, screenshots not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Before the first reply.
    pub first: usize,
    /// Between one reply and the next.
    pub later: usize,
    /// Of the line that stands for a screenshot which is no longer shown.
    pub dropped: usize,
    /// Whether they were counted by the model's tokenizer, and not estimated from bytes.
    pub counted: bool,
}

impl Text {
    /// The tokens that `renderer` makes of the messages before the first reply, and of those between two replies.
    ///
    /// # Errors
    /// When the messages cannot be rendered.
    pub fn counted(renderer: &dyn Renderer, first: &[Message], later: &[Message]) -> Result<Self, Fault> {
        let count = |history: &[Message], new: &[Message]| {
            let prompt = renderer.render(history, new, true)?;
            Ok::<usize, Fault>(prompt.tokens.len() + AROUND)
        };
        let played = [first, &[Message::text(Role::Assistant, "x")]].concat();
        let with = [later, &[Message::text(Role::User, DROPPED_SCREENSHOT)]].concat();
        let between = count(&played, later)?;
        Ok(Self {
            first: count(&[], first)?,
            later: between,
            // With a message of its own, which is more than the line takes.
            dropped: count(&played, &with)?.saturating_sub(between),
            counted: true,
        })
    }

    /// An estimate of them by their bytes.
    pub fn estimated(first: &[Message], later: &[Message]) -> Self {
        let count = |messages: &[Message]| {
            let bytes: usize = messages.iter().map(|message| message.joined_text().len()).sum();
            bytes.div_ceil(BYTES) + TEMPLATE + AROUND
        };
        Self {
            first: count(first),
            later: count(later),
            dropped: DROPPED_SCREENSHOT.len().div_ceil(BYTES),
            counted: false,
        }
    }
}

/// What turns take of a context, and how many it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// Width and height of the phone's screen, in pixels.
    pub screen: [usize; 2],
    /// Tokens of a screenshot.
    pub screenshot: usize,
    /// Tokens of the text.
    pub text: Text,
    /// Tokens that each reply is taken to have.
    pub reply: usize,
    /// Most tokens of a reply.
    pub longest_reply: usize,
    /// Tokens of a context.
    pub context: usize,
    /// `max_turns`.
    pub asked: usize,
    /// `keep_screenshots`; 0 keeps all.
    pub keep: usize,
    /// Turns that fit.
    pub fit: usize,
    /// Turns that fit with the longest replies.
    pub fit_longest: usize,
    /// Pixels of a token of a picture.
    #[serde(skip)]
    token_pixels: usize,
    /// The key that bounds the context.
    #[serde(skip)]
    bound: &'static str,
}

impl Turns {
    /// The turns of `config` on a screen of `screen` pixels (width and height) that `images` processes, with these texts.
    ///
    /// # Errors
    /// [`ProcessorError`] when the processor cannot take such a screen, or not within the run's limits.
    pub fn of(
        config: &TrainConfig,
        screen: [usize; 2],
        images: &ImageProcessorConfig,
        text: Text,
    ) -> Result<Self, ProcessorError> {
        let images = images.clone().within(config.pixels())?;
        let [width, height] = screen;
        let own = config
            .max_context_tokens
            .is_some_and(|limit| limit < config.max_seq_length);
        let mut turns = Self {
            screen,
            screenshot: images.tokens(height, width)?,
            text,
            reply: config.max_new_tokens.min(REPLY),
            longest_reply: config.max_new_tokens,
            context: config.context_limit(),
            asked: config.max_turns,
            keep: config.keep_screenshots,
            fit: 0,
            fit_longest: 0,
            token_pixels: images.factor().pow(2),
            bound: if own { "max_context_tokens" } else { "max_seq_length" },
        };
        turns.fit = turns.holds(turns.reply);
        turns.fit_longest = turns.holds(turns.longest_reply);
        Ok(turns)
    }

    /// Turns that fit with replies of `reply` tokens.
    fn holds(&self, reply: usize) -> usize {
        (1..=MOST)
            .take_while(|&turns| self.needs(turns, reply) <= self.context)
            .count()
    }

    /// Tokens of the largest context in so many turns with replies of `reply` tokens.
    fn needs(&self, turns: usize, reply: usize) -> usize {
        let tokens = |turn| self.around(turn, reply) + self.shown(turn) * self.screenshot;
        self.largest(turns).map(tokens).into_iter().max().unwrap_or(0)
    }

    /// The turns whose contexts may be the largest of so many: the last one, and the last one before a cut.
    fn largest(&self, turns: usize) -> [usize; 2] {
        match turns.checked_sub(2 * self.keep) {
            Some(more) if self.keep > 0 => [turns, turns - more % (self.keep + 1)],
            _ => [turns; 2],
        }
    }

    /// Screenshots in the context of a turn, which is numbered from 1.
    fn shown(&self, turn: usize) -> usize {
        match turn.checked_sub(2 * self.keep + 1) {
            Some(more) if self.keep > 0 => self.keep + more % (self.keep + 1),
            _ => turn,
        }
    }

    /// Tokens of that context, its screenshots not counted.
    fn around(&self, turn: usize, reply: usize) -> usize {
        let dropped = (turn - self.shown(turn)) * self.text.dropped;
        self.text.first + turn.saturating_sub(1) * self.text.later + turn * reply + dropped
    }

    /// The context that holds all turns that are asked for.
    pub fn needed(&self) -> usize {
        self.needs(self.asked, self.reply)
    }

    /// The largest `max_pixels` with which the turns that are asked for fit into `context` tokens; `None` where no screenshot
    /// is small enough.
    pub fn max_pixels(&self, context: usize) -> Option<usize> {
        let each = self.largest(self.asked).map(|turn| {
            let left = context.checked_sub(self.around(turn, self.reply));
            left.map_or(0, |left| left / self.shown(turn).max(1))
        });
        let left = each.into_iter().min().unwrap_or(0);
        (left > 0).then_some(left * self.token_pixels)
    }

    /// Whether fewer turns fit than are asked for.
    pub fn too_few(&self) -> bool {
        self.fit < self.asked
    }

    /// The turns on one line.
    pub fn line(&self) -> String {
        let [width, height] = self.screen;
        let longest = match self.fit_longest < self.asked && self.longest_reply > self.reply {
            true => format!(
                "; {} if every reply has the most, {}",
                self.fit_longest, self.longest_reply
            ),
            false => String::new(),
        };
        let kept = match self.keep {
            0 => String::new(),
            keep => format!(" (at most {} of them are shown)", 2 * keep),
        };
        format!(
            "{} of {} fit in {} tokens: a screenshot of {width}x{height} is {}{kept}, text {}{} and {} a turn, a reply \
             {}{longest}",
            self.fit.min(self.asked),
            self.asked,
            grouped(self.context as u64),
            grouped(self.screenshot as u64),
            if self.text.counted { "" } else { "about " },
            grouped(self.text.first as u64),
            self.text.later,
            self.reply,
        )
    }

    /// What to change so that all turns fit.
    pub fn advice(&self) -> String {
        let pixels = self.max_pixels(self.context);
        let pixels = pixels.map_or(String::new(), |pixels| format!("max_pixels to at most {pixels}, or "));
        let fewer = match self.fit {
            0 => String::new(),
            turns => format!(", or max_turns to {turns}"),
        };
        let kept = (1..self.asked)
            .rev()
            .find(|&keep| Self { keep, ..*self }.needed() <= self.context);
        let kept = kept.map_or(String::new(), |keep| format!(", or keep_screenshots to at most {keep}"));
        format!("set {pixels}{} to at least {}{kept}{fewer}", self.bound, self.needed())
    }

    /// That all turns fit that are asked for, or that fewer are allowed.
    ///
    /// # Errors
    /// [`TrainError::Usage`] that says what to change.
    pub fn check(&self, config: &TrainConfig) -> Result<(), TrainError> {
        if !self.too_few() || config.allow_fewer_turns {
            return Ok(());
        }
        Err(TrainError::Usage(format!(
            "turns: {}. Episodes would end there: {}; or allow_fewer_turns to true, which plays them as they are",
            self.line(),
            self.advice()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};
    use cua_grpo_model::processor::PixelBudget;

    const TEXT: Text = Text {
        first: 1000,
        later: 30,
        dropped: 20,
        counted: true,
    };

    fn turns_of(change: &dyn Fn(&mut TrainConfig)) -> Turns {
        let mut config: TrainConfig = load(&Sources::default()).unwrap();
        (config.max_turns, config.max_new_tokens, config.max_seq_length) = (15, 1024, 8192);
        change(&mut config);
        let images = ImageProcessorConfig::qwen3_vl(PixelBudget {
            shortest_edge: 65_536,
            longest_edge: 16_777_216,
        });
        Turns::of(&config, [1080, 2400], &images, TEXT).unwrap()
    }

    #[test]
    fn a_real_screen_fills_a_context_in_two_turns_and_the_advice_is_exact() {
        let own = turns_of(&|_| ());
        assert_eq!((own.screenshot, own.fit, own.asked), (2550, 2, 15));
        assert!(
            own.line()
                .starts_with("2 of 15 fit in 8,192 tokens: a screenshot of 1080x2400 is 2,550")
        );
        let config: TrainConfig = load(&Sources::default()).unwrap();
        let text = own.check(&config).unwrap_err().to_string();
        let (pixels, context) = (own.max_pixels(own.context).unwrap(), own.needed());
        for words in [
            format!("max_pixels to at most {pixels}"),
            format!("to at least {context}"),
        ] {
            assert!(text.contains(&words), "{words}: {text}");
        }
        // Each advice is enough, and what is a little less is not.
        for extra in [0, 1] {
            let longer = turns_of(&|config| config.max_seq_length = context - extra);
            assert_eq!(longer.too_few(), extra == 1, "{longer:?}");
            let left = own.max_pixels(own.context).unwrap() / 1024 + extra;
            let smaller = Turns {
                screenshot: left,
                ..own
            };
            assert_eq!(smaller.holds(own.reply) < 15, extra == 1);
        }
        let smaller = turns_of(&|config| config.max_pixels = Some(pixels));
        assert!(!smaller.too_few() && smaller.screenshot * 1024 <= pixels, "{smaller:?}");
        let fewer = turns_of(&|config| config.max_turns = own.fit);
        assert!(!fewer.too_few());
        let mut allowed = config;
        allowed.allow_fewer_turns = true;
        own.check(&allowed).unwrap();
    }

    #[test]
    fn a_context_that_is_cut_back_holds_more_turns_and_its_largest_is_counted_turn_by_turn() {
        for keep in 0..6 {
            let turns = turns_of(&|config| config.keep_screenshots = keep);
            let (mut shown, mut dropped, mut largest) = (0, 0, 0);
            for turn in 1..40 {
                shown += 1;
                if keep > 0 && shown > 2 * keep {
                    (dropped, shown) = (dropped + shown - keep, keep);
                }
                let text = 1000 + (turn - 1) * 30 + turn * 128 + dropped * 20;
                largest = largest.max(text + shown * 2550);
                assert_eq!(turns.needs(turn, 128), largest, "K = {keep}, turn {turn}");
            }
        }
        let all = turns_of(&|config| config.max_seq_length = 14_000);
        assert!(
            all.too_few()
                && all
                    .advice()
                    .contains(", or keep_screenshots to at most 2, or max_turns to 4")
        );
        let one = turns_of(&|config| config.keep_screenshots = 1);
        assert!(
            one.fit == 13 && one.line().contains("2,550 (at most 2 of them are shown)"),
            "{}",
            one.line()
        );
        // Each advice is enough, and what is a little less is not.
        for extra in [0, 1] {
            let longer =
                turns_of(&|config| (config.max_seq_length, config.keep_screenshots) = (one.needed() - extra, 1));
            assert_eq!(longer.too_few(), extra == 1);
            let screenshot = one.max_pixels(one.context).unwrap() / 1024 + extra;
            let smaller = Turns { screenshot, ..one };
            assert_eq!(smaller.holds(one.reply) < 15, extra == 1);
        }
    }

    #[test]
    fn the_longest_replies_are_told_and_refuse_nothing() {
        let turns = turns_of(&|config| config.max_seq_length = 50_000);
        assert!(!turns.too_few() && turns.fit_longest < 15);
        assert!(
            turns
                .line()
                .ends_with(&format!("; {} if every reply has the most, 1024", turns.fit_longest))
        );
        let short = turns_of(&|config| (config.max_seq_length, config.max_new_tokens) = (50_000, 64));
        assert_eq!((short.reply, short.longest_reply), (64, 64));
        assert!(short.line().ends_with("a reply 64"), "{}", short.line());
    }

    #[test]
    fn where_text_alone_fills_the_context_only_a_larger_one_is_advised() {
        let none = turns_of(&|config| config.max_seq_length = 1200);
        assert_eq!((none.fit, none.max_pixels(none.context)), (0, None));
        assert!(none.advice().starts_with("set max_seq_length to at least"));
    }
}
