//! Greedy text with drafts is greedy text, whatever is drafted.

use super::*;
use crate::decode::mix::Knobs;
use crate::decode::{Passes, Progress, ReplyStart};
use crate::model::toy::{ASSISTANT, ToyOptions, ToyRunner, toy_language};
use crate::steer::{Plan, RewardSetting, Sampling};

/// A toy that drafts what it is going to say, every so often something else.
struct Drafting {
    inner: ToyRunner,
    says: Vec<u32>,
    wrong_every: usize,
    passes: usize,
}

impl Drafting {
    fn with_drafts(&self, mut output: StepOutput, ends: &[usize]) -> StepOutput {
        for end in ends {
            let said = end - PROMPT.len();
            for ahead in 1..=3 {
                let right = self.says.get(said + ahead).copied().unwrap_or(1);
                let is_wrong =
                    self.wrong_every > 0 && (said + ahead).is_multiple_of(self.wrong_every);
                output.drafts.push(if is_wrong { 7 } else { right });
            }
        }
        output
    }
}

impl Runner for Drafting {
    fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }
    fn hidden_size(&self) -> usize {
        self.inner.hidden_size()
    }
    fn context_length(&self) -> usize {
        self.inner.context_length()
    }
    fn rows(&self) -> usize {
        self.inner.rows()
    }
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn ids(&self) -> &[u32] {
        self.inner.ids()
    }
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        self.passes += 1;
        let held = self.inner.len();
        let output = self.inner.prefill(ids, wanted)?;
        let ends: Vec<usize> = match wanted {
            Wanted::All | Wanted::Hidden => (held + 1..=held + ids.len()).collect(),
            Wanted::Last => vec![held + ids.len()],
        };
        Ok(self.with_drafts(output, &ends))
    }
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        self.passes += 1;
        let output = self.inner.step(ids)?;
        let end = self.inner.len();
        Ok(self.with_drafts(output, &[end]))
    }
    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        self.inner.gather(parents)
    }
    fn truncate(&mut self, len: usize) -> Result<()> {
        self.inner.truncate(len)
    }
}

const PROMPT: [u32; 5] = [256, 259, 72, 257, ASSISTANT];

fn toy(says: &[u32], wrong_every: usize, context_length: usize) -> Drafting {
    let inner = ToyRunner::new(ToyOptions { context_length, ..ToyOptions::default() });
    Drafting { inner, says: says.to_vec(), wrong_every, passes: 0 }
}

fn make(runner: &mut Drafting, speculate: bool, max_tokens: usize) -> (Vec<u32>, super::Drafting) {
    let language = toy_language();
    let (mut knobs, mut passes) = (Knobs::default(), Passes::default());
    let plan = Plan {
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        reward: Some(RewardSetting { speculate, ..RewardSetting::shown("draft") }),
        ..Plan::default()
    };
    let start = ReplyStart {
        reply: 1,
        ids: PROMPT.to_vec(),
        prompt_len: PROMPT.len(),
        ..ReplyStart::default()
    };
    let (mut reply, _) =
        Reply::begin(&language, runner, &mut passes, &mut knobs, start, plan).unwrap();
    let mut ids = Vec::new();
    loop {
        let (tokens, is_over) = match reply.advance(runner, &mut []).unwrap() {
            Progress::Prefilled { .. } => continue,
            Progress::Tokens(tokens) => (tokens, false),
            Progress::Ended(tokens, _) => (tokens, true),
        };
        ids.extend(tokens.iter().map(|token| token.id));
        if is_over {
            let drafting = reply.drafting();
            let passes = reply.into_passes();
            assert_eq!(passes.positions(), runner.len(), "the passes are those of the cache");
            return (ids, drafting);
        }
    }
}

#[test]
fn text_with_drafts_is_the_text_without_them_in_fewer_passes() {
    for (max_tokens, context_length) in [(200, 0), (5, 0), (200, 14)] {
        let mut plain = toy(&[], 0, context_length);
        let (said, none) = make(&mut plain, false, max_tokens);
        assert_eq!(none, super::Drafting::default());
        for wrong_every in [0, 1, 2, 3, 5] {
            let mut drafting = toy(&said, wrong_every, context_length);
            let (ids, told) = make(&mut drafting, true, max_tokens);
            assert_eq!(ids, said, "wrong every {wrong_every}");
            assert!(told.accepted <= told.drafted);
            // Every token but the first came out of a pass of its own or was drafted.
            let made = told.passes + told.accepted;
            assert!(made.abs_diff(ids.len()) <= 1, "{told:?} for {} tokens", ids.len());
            assert_eq!(told.tokens_per_pass() > 1.0, told.accepted > 0, "{told:?}");
            match wrong_every {
                0 => assert!(drafting.passes < plain.passes, "{told:?}"),
                1 => assert_eq!(told.accepted, 0),
                _ => {}
            }
        }
    }
}
