//! How much of each alignment vector is in play, and the hand that dials it on a `Runner`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::model::Runner;
use crate::steer::KvPolicy;

/// Strengths by the vectors' fingerprints; what is at 0 is left out, so the base model is the
/// empty mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mix(BTreeMap<String, f32>);

impl Mix {
    /// Sums up what is said of each vector: the same one twice at 0.5 is once at 1.
    pub fn new(strengths: impl IntoIterator<Item = (String, f32)>) -> Self {
        let mut mix = BTreeMap::new();
        for (vector, strength) in strengths {
            *mix.entry(vector).or_insert(0.0) += strength;
        }
        mix.retain(|_, strength| *strength != 0.0);
        Self(mix)
    }

    /// The base model alone.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fingerprints of the vectors in play.
    pub fn vectors(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The strength of one vector, 0 when it is not in play.
    pub fn of(&self, vector: &str) -> f32 {
        self.0.get(vector).copied().unwrap_or(0.0)
    }
}

/// What was done about the cache when strengths changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixChange {
    pub policy: KvPolicy,
    /// Positions that are computed again.
    pub positions: usize,
}

/// Knows which vectors a runner has attached and what they are set to.
#[derive(Debug, Clone)]
pub struct Knobs {
    attached: Vec<String>,
    /// Unknown once the runner refused something.
    now: Option<Mix>,
    strengths: Vec<f32>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Knobs {
    /// For a runner with these vectors just attached, in this order, all at 0.
    pub fn of(attached: Vec<String>) -> Self {
        let now = Some(Mix::default());
        Self { strengths: Vec::with_capacity(attached.len()), attached, now }
    }

    /// The fingerprints of the attached vectors.
    pub fn attached(&self) -> &[String] {
        &self.attached
    }

    /// Dials the runner to a mix; nothing is done when it is there already.
    pub fn set(&mut self, runner: &mut dyn Runner, mix: &Mix) -> Result<()> {
        if self.now.as_ref() == Some(mix) {
            return Ok(());
        }
        if let Some(missing) = mix.vectors().find(|vector| !self.has(vector)) {
            bail!("the vector {missing} is not attached");
        }
        self.strengths.clear();
        self.strengths.extend(self.attached.iter().map(|vector| mix.of(vector)));
        self.now = None;
        runner.set_strengths(&self.strengths)?;
        self.now = Some(mix.clone());
        Ok(())
    }

    fn has(&self, vector: &str) -> bool {
        self.attached.iter().any(|attached| attached == vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses the first strengths it is given, half taken up or not.
    struct Moody(crate::model::toy::ToyRunner, usize);

    impl Runner for Moody {
        fn vocab_size(&self) -> usize {
            self.0.vocab_size()
        }
        fn hidden_size(&self) -> usize {
            self.0.hidden_size()
        }
        fn context_length(&self) -> usize {
            self.0.context_length()
        }
        fn rows(&self) -> usize {
            self.0.rows()
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn ids(&self) -> &[u32] {
            self.0.ids()
        }
        fn prefill(
            &mut self,
            ids: &[u32],
            wanted: crate::model::Wanted,
        ) -> Result<crate::model::StepOutput> {
            self.0.prefill(ids, wanted)
        }
        fn step(&mut self, ids: &[u32]) -> Result<crate::model::StepOutput> {
            self.0.step(ids)
        }
        fn gather(&mut self, parents: &[usize]) -> Result<()> {
            self.0.gather(parents)
        }
        fn truncate(&mut self, len: usize) -> Result<()> {
            self.0.truncate(len)
        }
        fn set_strengths(&mut self, _: &[f32]) -> Result<()> {
            self.1 += 1;
            anyhow::ensure!(self.1 > 1, "not now");
            Ok(())
        }
    }

    #[test]
    fn strengths_that_were_refused_are_set_again() {
        let mut runner = Moody(crate::model::toy::ToyRunner::new(Default::default()), 0);
        let mut knobs = Knobs::of(vec!["a".to_owned()]);
        knobs.set(&mut runner, &Mix::default()).unwrap();
        assert_eq!(runner.1, 0, "all at 0 from the beginning");
        let mix = Mix::new([("a".to_owned(), 1.0)]);
        assert!(knobs.set(&mut runner, &mix).is_err());
        // Back to what was there before is a change now, too.
        knobs.set(&mut runner, &Mix::default()).unwrap();
        knobs.set(&mut runner, &Mix::default()).unwrap();
        assert_eq!(runner.1, 2);
        assert!(knobs.set(&mut runner, &Mix::new([("b".to_owned(), 1.0)])).is_err());
    }

    #[test]
    fn a_mix_sums_up_and_leaves_out_what_cancels() {
        let mix = |list: &[(&str, f32)]| {
            Mix::new(list.iter().map(|(vector, strength)| ((*vector).to_owned(), *strength)))
        };
        assert_eq!(mix(&[("a", 0.5), ("b", 0.0), ("a", 0.5)]), mix(&[("a", 1.0)]));
        assert!(mix(&[("a", 0.5), ("a", -0.5)]).is_empty());
        assert_eq!(mix(&[("a", 0.1)]).of("b"), 0.0);
        let json = serde_json::to_string(&mix(&[("a", 0.1), ("b", -0.7)])).unwrap();
        assert_eq!(serde_json::from_str::<Mix>(&json).unwrap(), mix(&[("b", -0.7), ("a", 0.1)]));
    }
}
