//! The search as a machine: one pass of all rows at most per advance, a ranking at every boundary.
//! Whoever drives it looks at Stop between any two advances.

use anyhow::Result;

use super::boundary::{Boundary, Branch};
use super::places::{best, places};
use super::scorer::ChunkScorer;
use super::slot::{Origin, Slot};
use crate::decode::guide::{Candidate, Guides, RowForwards};
use crate::decode::mix::{Knobs, Mix};
use crate::decode::passes::Passes;
use crate::decode::reply::{Ending, Prompted};
use crate::decode::rules::TokenRule;
use crate::decode::{penalties, sampler};
use crate::model::{Runner, StepOutput};
use crate::session::{TokenReferences, TokenTrace};
use crate::steer::{Plan, SearchPlan};

/// What one advance brought.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchProgress {
    /// A token for every row.
    Stepped,
    /// Candidates were ranked; these tokens are now the same in all that were kept.
    Ranked(Box<Boundary>, Vec<TokenTrace>),
    /// The last ranking, the rest of the best candidate, and why there is no more.
    Ended(Box<Boundary>, Vec<TokenTrace>, Ending),
}

/// A search under way.
pub struct Search<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) plan: Plan,
    pub(super) bias: Vec<(u32, f32)>,
    pub(super) reply: u64,
    pub(super) slots: Vec<Slot>,
    /// Tokens drawn in every row that goes on.
    pub(super) drawn: usize,
    pub(super) since_boundary: usize,
    /// Rows times new tokens of the base (spec section 10): what was drawn from. The last token of
    /// a row is never fed, so the passes are one step fewer.
    pub(super) fed: RowForwards,
    pub(super) passes: Passes,
    pub(super) mix: Mix,
    pub(super) recompute: bool,
    knobs: &'a mut Knobs,
    /// W, K and L of the chunk under way; the plan's come into force at the next boundary.
    search: SearchPlan,
    output: Option<StepOutput>,
    /// Positions of the prompt in the cache: what is left there in the end.
    prompt_positions: usize,
    /// Tokens a reply may have before some model's context is full.
    room: usize,
    boundaries: usize,
    nodes: usize,
    emitted: usize,
    /// The best of the last ranking, in case of a stop.
    best_so_far: Option<(Vec<TokenTrace>, Vec<TokenReferences>)>,
    /// What datastores did to the tokens told last.
    references: Vec<TokenReferences>,
    over: bool,
}

impl<'a> Search<'a> {
    /// Takes over a reply whose prompt is in the cache. `room` is how many tokens guides and scorer
    /// can follow.
    ///
    /// # Errors
    /// When the plan means nothing.
    pub fn begin(prompted: Prompted<'a>, runner: &mut dyn Runner, room: usize) -> Result<Self> {
        let Prompted { language, plan, bias, reply, prompt_len, ids, .. } = prompted;
        plan.check_guidance()?;
        let begun = ids.len();
        let mut origin = Origin {
            language,
            continues_text: prompted.continues_text,
            prompt_len,
            begun,
            opening_bytes: 0,
        };
        let search = plan.guidance.search.clone();
        let first = Slot::new(&mut origin, ids)?;
        let mut slots =
            (1..search.rows()).map(|_| first.copy(&origin)).collect::<Result<Vec<_>>>()?;
        slots.insert(0, first);
        let own_room = (runner.context_length() + 1).saturating_sub(begun);
        let prompt_positions = runner.len();
        if slots.len() > 1 {
            runner.gather(&vec![0; slots.len()])?;
        }
        Ok(Self {
            origin,
            plan,
            bias,
            reply,
            slots,
            drawn: 0,
            since_boundary: 0,
            fed: RowForwards { prompt: begun, ..RowForwards::default() },
            passes: prompted.passes,
            mix: prompted.mix,
            recompute: false,
            knobs: prompted.knobs,
            search,
            output: Some(prompted.output),
            prompt_positions,
            room: room.min(own_room),
            boundaries: 0,
            nodes: 0,
            emitted: 0,
            best_so_far: None,
            references: Vec::new(),
            over: false,
        })
    }

    /// Tokens drawn so far in every row that goes on.
    pub fn drawn(&self) -> usize {
        self.drawn
    }

    /// Nothing more comes of it.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What the base was fed, by the convention of spec section 10.
    pub fn row_forwards(&self) -> RowForwards {
        self.fed
    }

    /// What the runner has attached and is set to.
    pub fn knobs(&mut self) -> &mut Knobs {
        self.knobs
    }

    /// The ids of each row, prompt included, and whether it has ended: for tests.
    pub fn rows(&self) -> impl Iterator<Item = (&[u32], bool)> {
        self.slots.iter().map(|slot| (slot.ids.as_slice(), slot.done.is_some()))
    }

    /// Steers by this plan from the next token on; W, K, L and the scorer from the next boundary.
    ///
    /// # Errors
    /// When it means nothing; the old plan stays.
    pub fn set_plan(&mut self, plan: Plan, vocab_size: usize) -> Result<()> {
        sampler::check(&plan.sampling)?;
        plan.check_strengths()?;
        plan.check_guidance()?;
        self.bias = penalties::read_bias(&plan.sampling, vocab_size)?;
        self.plan = plan;
        Ok(())
    }

    /// One pass of all rows, one draw in each, and a ranking where a chunk ends.
    ///
    /// # Errors
    /// When a pass of the base, a guide or the scorer fails.
    pub fn advance(
        &mut self,
        runner: &mut dyn Runner,
        guides: &mut Guides,
        rules: &mut [Box<dyn TokenRule + '_>],
        scorer: &mut dyn ChunkScorer,
    ) -> Result<SearchProgress> {
        if self.over {
            return Ok(SearchProgress::Stepped);
        }
        self.knobs.set(runner, &self.mix)?;
        let most = self.plan.max_tokens.unwrap_or(usize::MAX).min(self.room);
        if self.drawn < most {
            let output = match self.output.take() {
                Some(output) if !self.recompute => output,
                _ => self.pass(runner)?,
            };
            self.draw(&output, guides, rules)?;
        }
        let last = self.drawn >= most || self.slots.iter().all(|slot| slot.done.is_some());
        let chunk = self.search.chunk_length;
        if last || chunk > 0 && self.since_boundary >= chunk {
            return self.rank(runner, scorer, last);
        }
        Ok(SearchProgress::Stepped)
    }

    fn pass(&mut self, runner: &mut dyn Runner) -> Result<StepOutput> {
        if self.recompute {
            self.feed_again(runner)?;
        }
        // A row that has ended is fed something: its text no longer changes.
        let ids: Vec<u32> =
            self.slots.iter().map(|slot| slot.ids.last().copied().unwrap_or(0)).collect();
        runner.step(&ids)
    }

    fn rank(
        &mut self,
        runner: &mut dyn Runner,
        scorer: &mut dyn ChunkScorer,
        last: bool,
    ) -> Result<SearchProgress> {
        for slot in &mut self.slots {
            slot.cut_at_stop(&self.plan.stop, &self.origin);
        }
        let prompt_len = self.origin.prompt_len;
        let candidates: Vec<Candidate<'_>> =
            self.slots.iter().map(|slot| slot.candidate(prompt_len)).collect();
        let values = scorer.score(&candidates)?;
        anyhow::ensure!(values.len() == candidates.len(), "{} gave too few values", scorer.name());
        // Whatever was dialled since the last boundary comes into force.
        self.search = self.plan.guidance.search.clone();
        let kept = best(&values, self.search.beam_width);
        let boundary = self.record(&values, &kept);
        let all_done = kept.iter().all(|slot| self.slots[*slot].done.is_some());
        if last || all_done {
            let best = &self.slots[kept[0]];
            let ending = match &best.done {
                Some(ending) => ending.clone(),
                None if self.plan.max_tokens.is_some_and(|most| self.drawn >= most) => {
                    Ending::MaxTokens
                }
                None => Ending::ContextFull,
            };
            let tokens = best.shown(self.emitted, &self.origin);
            self.references = best.references_in(self.emitted..self.emitted + tokens.len());
            self.over = true;
            return Ok(SearchProgress::Ended(Box::new(boundary), tokens, ending));
        }
        let tokens = self.settled(&kept);
        let best = &self.slots[kept[0]];
        let rest = best.shown(self.emitted, &self.origin);
        let references = best.references_in(self.emitted..self.emitted + rest.len());
        self.best_so_far = Some((rest, references));
        self.reorder(runner, &kept)?;
        self.since_boundary = 0;
        Ok(SearchProgress::Ranked(Box::new(boundary), tokens))
    }

    /// Row j becomes a copy of the kept one whose place it is.
    fn reorder(&mut self, runner: &mut dyn Runner, kept: &[usize]) -> Result<()> {
        let finished: Vec<bool> =
            kept.iter().map(|slot| self.slots[*slot].done.is_some()).collect();
        let places = places(&finished, self.search.rows(), self.search.skip_finished);
        let parents: Vec<usize> = places.iter().map(|place| kept[*place]).collect();
        runner.gather(&parents)?;
        let slots = parents.iter().map(|parent| self.slots[*parent].copy(&self.origin));
        self.slots = slots.collect::<Result<_>>()?;
        Ok(())
    }

    /// Notes the ranking as new chunks of the tree.
    fn record(&mut self, values: &[f32], kept: &[usize]) -> Boundary {
        let mut candidates = Vec::with_capacity(self.slots.len());
        for (row, slot) in self.slots.iter_mut().enumerate() {
            let chunk = &slot.tokens[slot.chunk_start.min(slot.tokens.len())..];
            let mut text: String = chunk.iter().map(|token| token.text.as_str()).collect();
            if slot.stop_at.is_some() {
                // The last token may reach beyond the stop string.
                let drawn: usize = slot.tokens.iter().map(|token| token.text.len()).sum();
                let beyond = (self.origin.opening_bytes + drawn).saturating_sub(slot.text.len());
                text.truncate(text.len().saturating_sub(beyond));
            }
            candidates.push(Branch {
                node: self.nodes + row,
                parent: slot.node,
                row,
                ids: chunk.iter().map(|token| token.id).collect(),
                tokens: chunk.to_vec(),
                text,
                value: Some(values[row]).filter(|value| !value.is_nan()),
                finished: slot.done.is_some(),
                rank: kept.iter().position(|slot| *slot == row),
            });
            slot.node = Some(self.nodes + row);
            slot.chunk_start = slot.tokens.len();
        }
        self.nodes += self.slots.len();
        self.boundaries += 1;
        Boundary {
            number: self.boundaries - 1,
            tokens: self.drawn,
            beam_width: self.search.beam_width,
            successors: self.search.successors,
            candidates,
            without_value: values.iter().filter(|value| value.is_nan()).count(),
        }
    }

    /// Tokens that all kept share and that were not told yet; what may become a stop string waits.
    fn settled(&mut self, kept: &[usize]) -> Vec<TokenTrace> {
        let first = &self.slots[kept[0]];
        let mut same = first.tokens.len();
        for slot in &kept[1..] {
            let other = &self.slots[*slot].tokens;
            let equal = first.tokens.iter().zip(other).take_while(|(a, b)| a.id == b.id).count();
            same = same.min(equal);
        }
        let longest_stop = self.plan.stop.iter().map(String::len).max().unwrap_or(0);
        let mut ahead: usize = 0;
        if longest_stop > 0 {
            while same > self.emitted && ahead < longest_stop {
                same -= 1;
                ahead += first.tokens[same].text.len();
            }
        }
        if same <= self.emitted {
            return Vec::new();
        }
        let tokens = first.tokens[self.emitted..same].iter().map(|token| (**token).clone());
        let tokens = tokens.collect();
        self.references = first.references_in(self.emitted..same);
        self.emitted = same;
        tokens
    }

    /// Ends it here: what is left to tell of the best text so far.
    pub fn release(&mut self) -> Vec<TokenTrace> {
        if std::mem::replace(&mut self.over, true) {
            return Vec::new();
        }
        match self.best_so_far.take() {
            Some((best, references)) => {
                self.references = references;
                best
            }
            None => self.slots.first().map_or_else(Vec::new, |slot| {
                let shown = slot.shown(0, &self.origin);
                self.references = slot.references_in(0..shown.len());
                shown
            }),
        }
    }

    /// What datastores did to the tokens that were told last.
    pub fn take_references(&mut self) -> Vec<TokenReferences> {
        std::mem::take(&mut self.references)
    }

    /// Leaves only the prompt in the cache, computed as its passes say, and gives those back.
    ///
    /// # Errors
    /// When the cache cannot be cut back.
    pub fn finish(mut self, runner: &mut dyn Runner) -> Result<Passes> {
        if runner.rows() > 1 {
            runner.gather(&[0])?;
        }
        let held = self.passes.positions().min(self.prompt_positions);
        runner.truncate(held)?;
        self.passes.truncate(held);
        Ok(self.passes)
    }
}
