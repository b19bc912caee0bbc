//! Contexts that are cut back to the newest pictures: what a row holds is what the sampler was given, to the token, and
//! every token is trained on once.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use async_trait::async_trait;
use cua_grpo_core::testing::{ByteRenderer, IMAGE_PAD, STOP};
use cua_grpo_core::*;
use cua_grpo_rollout::{CancellationToken, DROPPED_SCREENSHOT, GroupRequest, RolloutConfig, RolloutEngine};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Pictures of the n-th observation, by n.
type Shown = fn(usize) -> usize;

/// Shows as many pictures as it is told, none of them twice.
struct Gallery {
    shown: Shown,
    observations: usize,
}

impl Gallery {
    fn look(&mut self) -> Observation {
        let number = self.observations;
        self.observations += 1;
        let mut content = vec![Chunk::Text(format!("look {number}: "))];
        let picture = |index| Chunk::Image(Image::new(vec![number as u8, index as u8]));
        content.extend((0..(self.shown)(number)).map(picture));
        content.push(Chunk::Text(format!("end {number}.")));
        let mut observation = Observation::text("");
        observation.messages = vec![Message::new(Role::User, content)];
        observation
    }
}

#[async_trait]
impl Environment for Gallery {
    async fn start(&mut self) -> Result<Observation, Fault> {
        Ok(self.look())
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        Ok(Step::new(ActionRecord::new(reply)).with_observation(self.look()))
    }

    async fn finish(&mut self, _ending: Ending) -> Result<Facts, Fault> {
        Ok(Facts::default())
    }
}

/// What the sampler had before it when it was asked, and what it said.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    tokens: Vec<TokenId>,
    images: Vec<Image>,
    /// Which of the tokens it had sampled itself.
    sampled: Vec<bool>,
    reply: Vec<TokenId>,
    /// Whether its context had been replaced just before.
    anew: bool,
}

#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<Asked>>>);

impl Sampler for Witness {
    fn open(&self, _slot: usize) -> Box<dyn SamplerSession> {
        Box::new(Session {
            all: self.0.clone(),
            said: Prompt::default(),
            turn: 0,
            anew: false,
        })
    }

    fn version(&self) -> PolicyVersion {
        3
    }
}

struct Session {
    all: Arc<Mutex<Vec<Asked>>>,
    said: Prompt,
    turn: usize,
    anew: bool,
}

#[async_trait]
impl SamplerSession for Session {
    async fn sample(&mut self, prompt: &Prompt, _params: &SamplingParams) -> Result<Completion, Fault> {
        self.said.push(prompt);
        // Every third reply has a pad of a picture, which is text then, and every fourth does not end.
        let mut reply: Vec<TokenId> = format!("say {}", self.turn).bytes().map(TokenId::from).collect();
        if self.turn % 3 == 1 {
            reply.push(IMAGE_PAD);
        }
        let stop = match self.turn % 4 {
            2 => StopReason::MaxTokens,
            _ => StopReason::Stop,
        };
        if stop == StopReason::Stop {
            reply.push(STOP);
        }
        self.all.lock().unwrap().push(Asked {
            tokens: self.said.tokens.clone(),
            images: self.said.images.clone(),
            sampled: self.said.marks(),
            reply: reply.clone(),
            anew: std::mem::take(&mut self.anew),
        });
        self.said.push_sampled(&reply);
        // A number of its own for each token.
        let logprob = |index: usize| -1.0 - (100 * self.turn + index) as f32;
        let logprobs = (0..reply.len()).map(logprob).collect();
        self.turn += 1;
        Ok(Completion::new(reply, logprobs, 3, stop).unwrap())
    }

    fn forget(&mut self) {
        self.said = Prompt::default();
        self.anew = true;
    }
}

/// An episode of so many turns, and what the sampler was asked in it.
fn played(keep: usize, turns: usize, shown: Shown, change: impl FnOnce(&mut RolloutConfig)) -> (Episode, Vec<Asked>) {
    let mut config = RolloutConfig {
        keep_screenshots: keep,
        max_turns: turns,
        max_context_tokens: 1 << 20,
        retry_delay: Duration::ZERO,
        ..RolloutConfig::default()
    };
    change(&mut config);
    let witness = Witness::default();
    let factory = move |_: &Task| -> Result<Box<dyn Environment>, Fault> {
        let observations = 0;
        Ok(Box::new(Gallery { shown, observations }))
    };
    let sampler = Arc::new(witness.clone());
    let reward = Arc::new(VerifiedSuccess);
    let engine = RolloutEngine::new(Arc::new(factory), Arc::new(ByteRenderer), sampler, reward, config).unwrap();
    let task = Task::new("test/0", "look");
    let requests = vec![GroupRequest { task, group_size: 1 }];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let collected = runtime.block_on(engine.collect(requests, 1, CancellationToken::new()));
    let mut groups = collected.unwrap().groups;
    let asked = witness.0.lock().unwrap().clone();
    (groups.remove(0).episodes.remove(0), asked)
}

fn one(_: usize) -> usize {
    1
}

fn some(number: usize) -> usize {
    [1, 0, 2, 1, 1, 0, 3, 1][number % 8]
}

/// Everything that holds of any episode.
fn hold(keep: usize, shown: Shown, episode: &Episode, asked: &[Asked]) {
    assert_eq!(episode.turns.len(), asked.len());
    let rows: Vec<&Row> = episode.rows().collect();
    let mut trained: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rows.len()];
    let mut seen = BTreeSet::new();
    let mut before = 0;
    for (number, (turn, asked)) in episode.turns.iter().zip(asked).enumerate() {
        let what = format!("K = {keep}, turn {number}");
        let row = rows[turn.row];
        // Sampling and training have the same tokens, pictures and marks before the reply, and the same reply.
        assert_eq!(row.tokens()[..turn.tokens.start], asked.tokens, "{what}");
        assert_eq!(row.sampled()[..turn.tokens.start], asked.sampled, "{what}");
        assert_eq!(row.images()[..asked.images.len()], asked.images, "{what}");
        assert_eq!(row.tokens()[turn.tokens.clone()], asked.reply, "{what}");
        let pads = asked.tokens.iter().zip(&asked.sampled);
        let pads = pads.filter(|(token, sampled)| **token == IMAGE_PAD && !**sampled);
        assert_eq!(pads.count(), asked.images.len(), "{what}");
        // Pictures: never more than 2K, and the newest ones.
        let all: Vec<Image> = (0..=number)
            .flat_map(|look| (0..shown(look)).map(move |index| Image::new(vec![look as u8, index as u8])))
            .collect();
        let kept = asked.images.len();
        assert!(keep == 0 || kept <= 2 * keep, "{what}: {kept} pictures");
        assert!(
            kept >= all.len().min(if keep == 0 { usize::MAX } else { keep }),
            "{what}"
        );
        assert_eq!(asked.images, all[all.len() - kept..], "{what}");
        // All text stays, in order, and a line stands for each picture that went.
        let text = ByteRenderer.decode(&asked.tokens);
        assert_eq!(text.matches(DROPPED_SCREENSHOT).count(), all.len() - kept, "{what}");
        let mut at = 0;
        for look in 0..=number {
            let mut words = vec![format!("look {look}: "), format!("end {look}.")];
            words.extend((look < number).then(|| format!("say {look}")));
            for words in words {
                at += text[at..].find(&words).unwrap_or_else(|| panic!("{what}: {words}")) + words.len();
            }
        }
        // A reply is trained on where it was sampled.
        assert!(turn.row == before || turn.row == before + 1 && asked.anew, "{what}");
        assert_eq!(asked.anew, turn.row > before, "{what}");
        before = turn.row;
        trained[turn.row].extend(turn.tokens.clone());
        for (index, place) in turn.tokens.clone().enumerate() {
            assert_eq!(row.logprobs()[place], -1.0 - (100 * number + index) as f32, "{what}");
            assert!(seen.insert((number, index)));
        }
    }
    for (row, trained) in rows.iter().zip(&trained) {
        let marked = row.trained().iter().enumerate().filter(|(_, trained)| **trained);
        assert_eq!(&marked.map(|(place, _)| place).collect::<BTreeSet<_>>(), trained);
        assert!(!trained.is_empty(), "a row without a token to learn from");
    }
    let sampled: usize = asked.iter().map(|asked| asked.reply.len()).sum();
    assert_eq!(episode.trained_tokens(), sampled, "every token is trained on once");
}

#[test]
fn every_token_is_trained_on_once_under_the_context_that_sampled_it() {
    for keep in 0..=5 {
        for turns in 1..=17 {
            let (episode, asked) = played(keep, turns, one, |_| ());
            hold(keep, one, &episode, &asked);
            // 2K turns until the first cut, then K + 1.
            let more = turns.saturating_sub(2 * keep).div_ceil(keep + 1);
            assert_eq!(
                episode.later_rows.len(),
                if keep == 0 { 0 } else { more },
                "{keep} {turns}"
            );
            let (episode, asked) = played(keep, turns, some, |_| ());
            hold(keep, some, &episode, &asked);
        }
    }
}

#[test]
fn where_all_pictures_are_kept_nothing_changes() {
    for (turns, shown) in [(8, one as Shown), (8, some as Shown)] {
        let (mut all, asked) = played(0, turns, shown, |_| ());
        let (mut kept, same) = played(9, turns, shown, |_| ());
        (all.seconds, kept.seconds) = (0.0, 0.0);
        assert!(all == kept && asked == same && all.later_rows.is_empty());
    }
}

#[test]
fn a_cut_makes_room_and_a_full_context_ends_an_episode_without_an_empty_row() {
    let (long, asked) = played(0, 12, one, |_| ());
    let whole = long.row.len();
    let longest = |asked: &[Asked]| {
        asked
            .iter()
            .map(|one| one.tokens.len() + one.reply.len())
            .max()
            .unwrap()
    };
    assert_eq!(longest(&asked), whole);
    for limit in 30..whole + 50 {
        let (episode, asked) = played(1, 12, one, |config| config.max_context_tokens = limit);
        hold(1, one, &episode, &asked);
        let first = &asked[0].tokens;
        assert!(first.len() < limit && longest(&asked) <= limit + 10, "{limit}");
        let full = episode.turns.len() < 12;
        assert_eq!(episode.ending, if full { Ending::MaxTokens } else { Ending::MaxTurns });
    }
}

#[test]
fn an_observation_of_many_pictures_keeps_its_newest() {
    for keep in 1..4 {
        let (episode, asked) = played(keep, 3, |_| 9, |_| ());
        hold(keep, |_| 9, &episode, &asked);
        assert!(asked.iter().all(|asked| asked.images.len() == keep));
        assert_eq!(episode.later_rows.len(), 2, "the first turn has no row before it");
    }
}
