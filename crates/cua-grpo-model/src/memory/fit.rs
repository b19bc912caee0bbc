//! What a run does at once, and how far each part could grow in the memory that is free.

use super::{Load, Memory, ModelSizes, Phase};
use serde::Serialize;

/// Most conversations at once that [`Fit`] looks for.
const MOST_CONVERSATIONS: u64 = 1 << 16;

/// What a run is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Episodes of a step.
    pub episodes: u64,
    /// Conversations that may be sampled together.
    pub concurrency: u64,
    /// Most tokens of a context.
    pub context: u64,
    /// Most turns of a conversation.
    pub turns: u64,
    /// A turn may feed a whole context, because contexts are cut back.
    pub cuts: bool,
    /// Most tokens of a reply.
    pub reply: u64,
    /// Tokens of a micro-batch.
    pub micro_batch: u64,
    /// Steps that episodes may be begun ahead; above 0 they are played while the policy is updated.
    pub ahead: u64,
}

impl Demand {
    /// What is done at once: a conversation fills its context in its turns, and replies are as long as they may be.
    pub fn load(&self) -> Load {
        let (context, turns) = (self.context, self.turns.max(1));
        let replies = (self.reply * turns).min(context);
        // No batch is larger than all rows, and a row that is longer than a micro-batch stands alone.
        let micro_batch = self.micro_batch.min(context * self.episodes).max(context);
        Load {
            batch: self.concurrency.min(self.episodes * (self.ahead + 1)).max(1),
            beside: self.ahead > 0,
            context,
            turn: if self.cuts { context } else { context.div_ceil(turns) },
            micro_batch,
            trained: micro_batch * replies / context.max(1),
        }
    }

    fn with_micro_batch(self, micro_batch: u64) -> Load {
        Self { micro_batch, ..self }.load()
    }

    /// One row of `context` tokens in a micro-batch.
    fn with_context(self, context: u64) -> Load {
        Self { context, ..self }.with_micro_batch(context)
    }
}

/// The largest values of one quantity that fit in what is free, the others as they are; 0 when none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The run fits as it is.
    pub fits: bool,
    /// Conversations at once, each with a full context: what `concurrency` may be.
    pub max_conversations: u64,
    /// Bytes of the keys and values of one of them.
    pub conversation: u64,
    /// Tokens of a context, with one row in a micro-batch.
    pub context: u64,
    /// Tokens of a micro-batch, while updating; at most all rows of a step.
    pub micro_batch: u64,
}

impl Fit {
    /// How far `demand` could grow in `free` bytes of the memory where the model lies.
    pub fn of(memory: &Memory, sizes: &ModelSizes, demand: &Demand, free: u64) -> Self {
        let fits = |phase, load: &Load| memory.during(phase, sizes, load) + memory.process() <= free;
        let load = demand.load();
        Self {
            fits: memory.peak(sizes, &load) + memory.process() <= free,
            max_conversations: largest(MOST_CONVERSATIONS, &|batch| {
                fits(Phase::Sampling, &Load { batch, ..load })
            }),
            conversation: memory.cache(sizes, &Load { batch: 1, ..load }),
            context: largest(sizes.config.text.max_position_embeddings as u64, &|context| {
                let load = demand.with_context(context);
                fits(Phase::Sampling, &load) && fits(Phase::Updating, &load)
            }),
            micro_batch: largest(demand.with_micro_batch(u64::MAX).micro_batch, &|tokens| {
                fits(Phase::Updating, &demand.with_micro_batch(tokens))
            }),
        }
    }
}

/// The largest value up to `most` for which `fits` holds, where it holds for every smaller one too; 0 when for none.
fn largest(most: u64, fits: &dyn Fn(u64) -> bool) -> u64 {
    let (mut good, mut bad) = (0, most + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    good
}

#[cfg(test)]
mod tests {
    //! Mutations tried: the process left out; a row longer than a micro-batch cut; the context of the demand kept.

    use super::*;
    use crate::ModelConfig;
    use crate::placement::{DeviceSpec, Placement};

    #[test]
    fn the_largest_is_found() {
        for limit in [0, 1, 17, 99, 100] {
            assert_eq!(largest(100, &|value| value <= limit), limit);
        }
    }

    const DEMAND: Demand = Demand {
        episodes: 64,
        concurrency: 8,
        context: 4096,
        turns: 10,
        cuts: false,
        reply: 100,
        micro_batch: 8192,
        ahead: 0,
    };

    #[test]
    fn a_conversation_fills_its_context_and_a_long_row_stands_alone() {
        let load = DEMAND.load();
        assert_eq!((load.batch, load.context, load.turn), (8, 4096, 410));
        // Where contexts are cut back, a turn may feed a whole one.
        assert_eq!(Demand { cuts: true, ..DEMAND }.load().turn, 4096);
        // 10 replies of 100 tokens in 4096.
        assert_eq!((load.micro_batch, load.trained), (8192, 2000));
        let long = Demand {
            micro_batch: 100,
            ..DEMAND
        }
        .load();
        assert_eq!((long.micro_batch, long.trained), (4096, 1000));
        let few = Demand {
            episodes: 1,
            micro_batch: u64::MAX,
            ..DEMAND
        }
        .load();
        assert_eq!((few.batch, few.micro_batch), (1, 4096));
        // Two steps ahead, three times as many can be open.
        let ahead = |ahead| {
            let load = Demand {
                episodes: 3,
                ahead,
                ..DEMAND
            };
            (load.load().batch, load.load().beside)
        };
        assert_eq!((ahead(0), ahead(1), ahead(2)), ((3, false), (6, true), (8, true)));
    }

    #[test]
    fn each_quantity_fits_as_it_is_told_and_one_more_does_not() {
        let sizes = ModelSizes::of(&ModelConfig::preset("2b").unwrap(), None).unwrap();
        for device in [DeviceSpec::Cpu, DeviceSpec::Cuda(0)] {
            let memory = Memory::of(&Placement {
                device,
                dtype: crate::checkpoint::WeightDtype::Bf16,
                four_bits: false,
            });
            let free = memory.peak(&sizes, &DEMAND.load()) + memory.process() + (4 << 30);
            let fit = Fit::of(&memory, &sizes, &DEMAND, free);
            assert!(
                fit.fits && fit.max_conversations > 8 && fit.context > 4096 && fit.micro_batch > 8192,
                "{fit:?}"
            );
            let needs = |phase, load| memory.during(phase, &sizes, &load) + memory.process();
            let load = DEMAND.load();
            for extra in [0, 1] {
                let batch = fit.max_conversations + extra;
                let sampling = needs(Phase::Sampling, Load { batch, ..load });
                let updating = needs(Phase::Updating, DEMAND.with_micro_batch(fit.micro_batch + extra));
                let long = DEMAND.with_context(fit.context + extra);
                let context = needs(Phase::Sampling, long).max(needs(Phase::Updating, long));
                for bytes in [sampling, updating, context] {
                    assert_eq!(bytes <= free, extra == 0, "{device} {extra} {fit:?}");
                }
            }
            // Beside training there is room for fewer, in what the update leaves.
            let beside = Demand { ahead: 1, ..DEMAND };
            let fewer = Fit::of(&memory, &sizes, &beside, free).max_conversations;
            let update = needs(Phase::Updating, load) - needs(Phase::Always, load);
            let left = Fit::of(&memory, &sizes, &DEMAND, free - update).max_conversations;
            assert!(fewer == left && fewer < fit.max_conversations, "{fewer} {left}");
            let none = Fit::of(&memory, &sizes, &DEMAND, 1 << 30);
            assert_eq!(
                (none.fits, none.max_conversations, none.context, none.micro_batch),
                (false, 0, 0, 0)
            );
        }
    }
}
