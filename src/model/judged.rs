//! A model with a reward model of its own beside it: both read the same text, and every row has the
//! judge's score. What an inserted stream does in one pass, by two (ARGS, arXiv 2402.01694).

use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;

use super::reward::Adapter;
use super::scorer::Scorer;
use super::vector::Vector;
use super::{Runner, StepOutput, Wanted};

/// A runner that may have a judge; without one it is the runner itself.
pub struct Judged {
    base: Box<dyn Runner>,
    judge: Option<Box<Scorer>>,
}

impl Judged {
    /// Nobody judges yet.
    pub fn new(base: Box<dyn Runner>) -> Self {
        Self { base, judge: None }
    }

    /// Adds what the judge gives for the same ids; where it fails neither has read them.
    fn scored(
        &mut self,
        held: usize,
        mut output: StepOutput,
        read: impl FnOnce(&mut dyn Runner) -> Result<StepOutput>,
    ) -> Result<StepOutput> {
        let Some(judge) = &mut self.judge else { return Ok(output) };
        match read(judge.runner()) {
            Ok(seen) => {
                output.reward = judge.rewards(&seen);
                Ok(output)
            }
            Err(error) => {
                self.truncate(held)?;
                Err(error)
            }
        }
    }
}

impl Runner for Judged {
    fn vocab_size(&self) -> usize {
        self.base.vocab_size()
    }
    fn hidden_size(&self) -> usize {
        self.base.hidden_size()
    }
    fn context_length(&self) -> usize {
        let own = self.base.context_length();
        self.judge.as_ref().map_or(own, |judge| own.min(judge.context_length()))
    }
    fn device(&self) -> Device {
        self.base.device()
    }
    fn rows(&self) -> usize {
        self.base.rows()
    }
    fn len(&self) -> usize {
        self.base.len()
    }
    fn ids(&self) -> &[u32] {
        self.base.ids()
    }
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        let held = self.len();
        let output = self.base.prefill(ids, wanted)?;
        let scores = if wanted == Wanted::Last { Wanted::Last } else { Wanted::All };
        self.scored(held, output, |judge| judge.prefill(ids, scores))
    }
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        let held = self.len();
        let output = self.base.step(ids)?;
        self.scored(held, output, |judge| judge.step(ids))
    }
    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        self.base.gather(parents)?;
        self.judge.as_mut().map_or(Ok(()), |judge| judge.runner().gather(parents))
    }
    fn truncate(&mut self, len: usize) -> Result<()> {
        self.base.truncate(len)?;
        self.judge.as_mut().map_or(Ok(()), |judge| judge.runner().truncate(len))
    }
    fn insert(&mut self, adapter: Option<&Adapter>) -> Result<()> {
        self.base.insert(adapter)?;
        if adapter.is_some() {
            self.judge = None;
        }
        Ok(())
    }
    fn want_heads(&mut self, experts: bool, drafts: bool) {
        self.base.want_heads(experts, drafts);
    }
    fn judge(&mut self, judge: Option<Box<Scorer>>) -> Result<()> {
        let Some(mut judge) = judge else {
            self.judge = None;
            return Ok(());
        };
        self.base.insert(None)?;
        super::runner::reuse_prefix(self.base.as_mut(), &[])?;
        judge.runner().truncate(0)?;
        self.judge = Some(judge);
        Ok(())
    }
    fn twin(&self) -> Option<Box<dyn Runner>> {
        self.base.twin()
    }
    fn attach(&mut self, vectors: &[Arc<Vector>]) -> Result<()> {
        self.base.attach(vectors)
    }
    fn set_strengths(&mut self, strengths: &[f32]) -> Result<()> {
        self.base.set_strengths(strengths)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::LoadOptions;
    use crate::model::checkpoint::Checkpoint;
    use crate::model::decoder::{Decoder, DecoderSpec};
    use crate::model::scorer::tests::judge;
    use crate::model::weights::WeightForm;

    fn base() -> Box<dyn Runner> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkpoint = Checkpoint::open(&root.join("tests/golden/families/llama")).unwrap();
        let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
        let (form, cpu) = (WeightForm::F32, Device::Cpu);
        Box::new(Decoder::load(&checkpoint, spec, &cpu, form, 32, &mut |_, _| true).unwrap())
    }

    fn scorer(length: usize) -> Box<Scorer> {
        let folder = judge("qwen2", "score", 1, false);
        let options = LoadOptions {
            device: "cpu".into(),
            weights: "f32".into(),
            context_length: Some(length),
        };
        Box::new(Scorer::open(folder.path(), &options, &mut |_, _| true).unwrap())
    }

    #[test]
    fn every_row_has_the_score_of_its_own_text_and_the_model_is_untouched() {
        let (mut plain, mut judged) = (base(), Judged::new(base()));
        judged.prefill(&[9, 9, 9], Wanted::Last).unwrap();
        judged.judge(Some(scorer(32))).unwrap();
        assert!(judged.is_empty(), "the judge has read nothing of what was there");
        let prompt = [5, 17, 40, 3, 88, 9];
        let (a, b) = (
            plain.prefill(&prompt, Wanted::All).unwrap(),
            judged.prefill(&prompt, Wanted::All).unwrap(),
        );
        assert!(a.logits == b.logits && a.hidden == b.hidden && a.reward.is_empty());
        assert_eq!(b.reward.len(), prompt.len());
        let candidates = [7, 61, 30];
        for runner in [plain.as_mut(), &mut judged] {
            runner.gather(&[0; 3]).unwrap();
        }
        let (a, b) = (plain.step(&candidates).unwrap(), judged.step(&candidates).unwrap());
        assert!(a.logits == b.logits, "the same rows, the same bits");
        let mut alone = scorer(32);
        let mut check = |ids: &[u32], reward: f32| {
            let wanted = alone.reward(ids).unwrap();
            assert!((reward - wanted).abs() < 1e-4 * wanted.abs().max(1.0), "{reward} {wanted}");
        };
        for (row, id) in candidates.iter().enumerate() {
            check(&[&prompt[..], &[*id]].concat(), b.reward[row]);
        }
        // The row that is kept, and what was rolled back, are those of both.
        judged.gather(&[1]).unwrap();
        let next = judged.step(&[12]).unwrap();
        check(&[&prompt[..], &[61, 12]].concat(), next.reward[0]);
        judged.truncate(4).unwrap();
        let next = judged.prefill(&[50, 51], Wanted::Last).unwrap();
        check(&[&prompt[..4], &[50, 51]].concat(), next.reward[0]);
        judged.judge(None).unwrap();
        assert!(judged.step(&[1]).unwrap().reward.is_empty());
    }

    #[test]
    fn the_shorter_context_is_both_s_and_a_judge_that_fails_leaves_both_where_they_were() {
        let mut judged = Judged::new(base());
        judged.judge(Some(scorer(4))).unwrap();
        assert_eq!(judged.context_length(), 4);
        judged.prefill(&[1, 2], Wanted::Last).unwrap();
        assert!(judged.prefill(&[3, 4, 5], Wanted::Last).is_err(), "the judge has no room");
        assert_eq!(judged.len(), 2);
        let reward = judged.prefill(&[3, 4], Wanted::Last).unwrap().reward[0];
        let wanted = scorer(8).reward(&[1, 2, 3, 4]).unwrap();
        assert!((reward - wanted).abs() < 1e-4 * wanted.abs().max(1.0));
    }
}
