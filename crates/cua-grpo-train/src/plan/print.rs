//! The plan as a table.

use super::estimate::SCORED;
use super::numbers::{gib, grouped};
use super::{Plan, Setting};
use cua_grpo_model::memory::Phase;
use cua_grpo_model::memory::Source;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} (by {}) on {}, weights in {}; the other keys by {}",
            self.model, self.sizes_from, self.device, self.weights_in, self.keys_from
        )?;
        writeln!(f, "\nparameters")?;
        let p = &self.parameters;
        let rows = [
            ("vision tower", p.vision),
            ("embedding", p.embedding),
            ("attention", p.attention),
            ("MLP", p.mlp),
            ("norms", p.norms),
            ("head", p.head),
            ("total", p.total),
            ("active for a token", p.active),
            ("trainable (adapter)", p.trainable),
        ];
        for (name, count) in rows {
            writeln!(f, "  {name:<22}{:>18}", grouped(count))?;
        }
        let load = &self.load;
        writeln!(
            f,
            "\nmemory: {} conversations of {} tokens at once, {} tokens in a micro-batch, {} of them trained",
            load.batch, load.context, load.micro_batch, load.trained
        )?;
        for line in &self.components {
            let when = match line.phase {
                Phase::Always => "always",
                Phase::Sampling => "sampling",
                Phase::Updating => "updating",
            };
            writeln!(f, "  {:<22}{:>18}  {when}", line.name, gib(line.bytes))?;
        }
        for (name, phase) in [("sampling", Phase::Sampling), ("updating", Phase::Updating)] {
            writeln!(f, "  {:<22}{:>18}", format!("at once, {name}"), gib(self.phase(phase)))?;
        }
        writeln!(f, "  {:<22}{:>18}", "needed", gib(self.peak_bytes))?;
        if self.host_bytes > 0 {
            let host = gib(self.host_bytes);
            writeln!(
                f,
                "  {:<22}{host:>18}  pinned, of the host (activation_offloading)",
                "offloaded"
            )?;
        }
        writeln!(
            f,
            "  {:<22}{:>18}  for a conversation of {SCORED} tokens",
            "trainer score",
            gib(self.score_bytes)
        )?;
        match (&self.available, &self.unknown) {
            (Some(available), _) => {
                let who = match available.source {
                    Source::Host => "this machine",
                    Source::Gpu => "the GPU",
                    Source::Flag => "--memory",
                };
                writeln!(
                    f,
                    "  {:<22}{:>18}  of {} ({who})",
                    "free",
                    gib(available.free),
                    gib(available.total)
                )?;
            }
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("unknown");
                writeln!(
                    f,
                    "  {:<22}{reason}; plan for another machine with --memory GIB",
                    "free"
                )?;
            }
        }
        if let Some(turns) = &self.turns {
            writeln!(f, "\nturns: {}", turns.line())?;
            if turns.too_few() {
                writeln!(f, "  too few, the run would be refused: {}", turns.advice())?;
            }
        }
        let Some(fit) = &self.fit else { return Ok(()) };
        let verdict = match self.four_bits_bytes.filter(|_| !fit.fits) {
            Some(bytes) => format!("does not fit; with --load-in-4bit {} would be needed", gib(bytes)),
            None if fit.fits => "fits".to_owned(),
            None => "does not fit".to_owned(),
        };
        writeln!(
            f,
            "\n{verdict}; the largest that would fit, the other keys as they are:"
        )?;
        let conversations = format!(
            "at once (`concurrency`), each with {} of keys and values",
            gib(fit.conversation)
        );
        for (key, value, why) in [
            ("max_conversations", fit.max_conversations, conversations.as_str()),
            ("max_seq_length", fit.context, "with one row in a micro-batch"),
            ("micro_batch_tokens", fit.micro_batch, "while updating"),
        ] {
            let value = if value == 0 {
                "nothing".to_owned()
            } else {
                grouped(value)
            };
            writeln!(f, "  {key:<22}{value:>18}  {why}")?;
        }
        let Some(fitted) = &self.fitted else {
            return match fit.fits && !self.turns.is_some_and(|turns| turns.too_few()) {
                true => Ok(()),
                false => writeln!(f, "\nno settings of this kind were found that fit"),
            };
        };
        writeln!(f, "\nsettings to paste")?;
        for Setting { key, value, instead_of } in &self.settings {
            let instead = instead_of
                .as_ref()
                .map_or(String::new(), |asked| format!("   # in place of {asked}"));
            writeln!(f, "  {key}: {value}{instead}")?;
        }
        writeln!(f, "\nwith these {} are needed", gib(fitted.peak_bytes))?;
        if let Some(turns) = &fitted.turns {
            writeln!(f, "  turns: {}", turns.line())?;
        }
        if let Some(fit) = &fitted.fit {
            let (phones, context) = (grouped(fit.max_conversations), grouped(fit.context));
            writeln!(f, "  phones at once: up to {phones}; context: up to {context} tokens")?;
        }
        Ok(())
    }
}
