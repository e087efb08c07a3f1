//! One token for every row: guides over all rows at once, then rules, penalties and one draw row by
//! row.

use anyhow::{Context, Result};

use super::machine::Search;
use super::slot::Slot;
use crate::decode::guide::{Candidate, Guides};
use crate::decode::penalties::{self, History};
use crate::decode::reply::Ending;
use crate::decode::rules::{Position, TokenRule};
use crate::decode::{draw, observe, sampler};
use crate::model::StepOutput;
use crate::session::TokenReferences;

impl Search<'_> {
    /// Draws from `output`, one row per slot, or a single row for all of them.
    pub(super) fn draw(
        &mut self,
        output: &StepOutput,
        guides: &mut Guides,
        rules: &mut [Box<dyn TokenRule + '_>],
    ) -> Result<()> {
        let prompt_len = self.origin.prompt_len;
        let width = output.logits.len() / output.rows.max(1);
        let row_of = |slot: usize| if output.rows == 1 { 0 } else { slot };
        let mut steered = Vec::with_capacity(self.slots.len() * width);
        for slot in 0..self.slots.len() {
            steered.extend_from_slice(output.logits_of(row_of(slot)));
        }
        if guides.act() {
            for slot in 0..self.slots.len() {
                observe::check_finite(output.logits_of(row_of(slot)))?;
            }
            let candidates: Vec<Candidate<'_>> =
                self.slots.iter().map(|slot| slot.candidate(prompt_len)).collect();
            guides.correct(&mut steered, &candidates)?;
        }
        let step = (self.origin.begun - prompt_len + self.drawn) as u32;
        for (row, (slot, steered)) in
            self.slots.iter_mut().zip(steered.chunks_exact_mut(width)).enumerate()
        {
            if slot.done.is_some() {
                continue;
            }
            let logits = output.logits_of(row_of(row));
            let seen = observe::observe(logits)?;
            for rule in &mut *rules {
                let hidden = output.hidden_of(row_of(row));
                let position = Position { ids: &slot.ids, reply_start: prompt_len, hidden };
                rule.apply(steered, position).with_context(|| rule.name().to_owned())?;
            }
            let history = History { all: &slot.ids, reply_start: prompt_len };
            penalties::apply(steered, &self.plan.sampling, &self.bias, history);
            let uniform = draw::uniform(self.plan.seed, self.reply, row as u32, step);
            let id = sampler::draw(steered, &self.plan.sampling, uniform)?;
            let logit = logits[id as usize];
            slot.base_logprob += f64::from(logit - seen.log_mass);
            if self.origin.language.ends_reply(id) {
                slot.end = Some(id);
                slot.done = Some(Ending::EndOfText);
                continue;
            }
            let token = slot.tokens.len();
            let told = rules.iter_mut().filter_map(|rule| rule.references(id));
            slot.references.extend(told.map(|told| TokenReferences { token, ..told }.into()));
            take(slot, id, logit, &seen, self.origin.language.vocabulary.as_ref())?;
        }
        self.drawn += 1;
        self.since_boundary += 1;
        self.fed.rows += self.slots.len();
        self.fed.steps += 1;
        Ok(())
    }
}

fn take(
    slot: &mut Slot,
    id: u32,
    logit: f32,
    seen: &observe::Observation,
    vocabulary: &dyn crate::model::Vocabulary,
) -> Result<()> {
    let text = slot.push_text(id)?;
    slot.tokens.push(seen.trace(id, logit, text, vocabulary).into());
    Ok(())
}
