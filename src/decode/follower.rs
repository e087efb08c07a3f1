//! A second runner that follows a reply token by token, for what compares or mixes two models.
//!
//! What it has not read yet it reads in pieces between which Stop can act, and it knows how its
//! cache came to be, so that a replay can make the same passes.

use anyhow::{Result, ensure};

use super::mix::{Knobs, Mix};
use super::passes::Passes;
use super::reply::PREFILL_CHUNK;
use crate::model::runner::reuse_prefix;
use crate::model::{Runner, Wanted};

/// A runner and what its cache holds.
pub struct Follower {
    runner: Box<dyn Runner>,
    passes: Passes,
    /// Passes a replay makes again before anything else.
    again: Option<Passes>,
}

impl Follower {
    /// A runner with no vector attached; whatever its cache holds is dropped when it first reads.
    pub fn new(runner: Box<dyn Runner>) -> Self {
        Self { runner, passes: Passes::default(), again: None }
    }

    /// Begins a reply to these ids: what the cache shares with them is kept. A replay gives the
    /// passes the reply was made over.
    ///
    /// # Errors
    /// When the cache cannot be rolled back.
    pub fn begin(&mut self, ids: &[u32], again: Option<Passes>) -> Result<()> {
        self.again = again;
        if self.again.is_some() {
            self.passes = Passes::default();
            return self.runner.truncate(0);
        }
        self.roll_back(ids)
    }

    /// How the cache came to be.
    pub fn passes(&self) -> &Passes {
        &self.passes
    }

    /// Makes one pass over what it has not read of `ids`, all but the last, which is left for
    /// [`Self::logits`]. Returns positions held and to hold, `None` when nothing was left to do.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn read_on(&mut self, ids: &[u32]) -> Result<Option<(usize, usize)>> {
        ensure!(!ids.is_empty(), "there is nothing to read");
        let whole = ids.len() - 1;
        if let Some(again) = &self.again {
            let runner = self.runner.as_mut();
            if again.make_next(runner, &mut Knobs::default(), ids, &mut self.passes)? {
                return Ok(Some((self.passes.positions(), whole)));
            }
            self.again = None;
        }
        self.roll_back(ids)?;
        let held = self.runner.len();
        if held >= whole {
            return Ok(None);
        }
        let end = whole.min(held + PREFILL_CHUNK);
        self.runner.prefill(&ids[held..end], Wanted::Last)?;
        self.passes.prefilled(end - held, &Mix::default());
        Ok(Some((end, whole)))
    }

    /// The logits after `ids`, `[vocab_size]`; the last of them goes in as a step.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn logits(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        while self.read_on(ids)?.is_some() {}
        let output = self.runner.step(&ids[ids.len() - 1..])?;
        self.passes.stepped(&Mix::default());
        Ok(output.logits)
    }

    /// Keeps what the cache shares with `ids`, the last of them left out.
    fn roll_back(&mut self, ids: &[u32]) -> Result<()> {
        if self.passes.positions() != self.runner.len() {
            self.passes = Passes::default();
            self.runner.truncate(0)?;
        }
        let held = reuse_prefix(self.runner.as_mut(), ids)?;
        self.passes.truncate(held);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::ToyRunner;

    fn toy() -> Box<dyn Runner> {
        Box::new(ToyRunner::new(Default::default()))
    }

    /// What a fresh runner says after these ids.
    fn fresh(ids: &[u32]) -> Vec<f32> {
        toy().prefill(ids, Wanted::Last).unwrap().logits
    }

    #[test]
    fn it_follows_growing_changed_and_repeated_ids() {
        let mut follower = Follower::new(toy());
        let mut ids: Vec<u32> = (0..300).map(|at| at % 200).collect();
        follower.begin(&ids, None).unwrap();
        let mut reads = Vec::new();
        while let Some(read) = follower.read_on(&ids).unwrap() {
            reads.push(read);
        }
        assert_eq!(reads, [(128, 299), (256, 299), (299, 299)], "in pieces");
        assert_eq!(follower.logits(&ids).unwrap(), fresh(&ids));
        assert_eq!(follower.logits(&ids).unwrap(), fresh(&ids), "once more");
        ids.push(7);
        assert_eq!(follower.read_on(&ids).unwrap(), None, "one step is no reading");
        assert_eq!(follower.logits(&ids).unwrap(), fresh(&ids));
        ids.truncate(50);
        ids.push(9);
        assert_eq!(follower.logits(&ids).unwrap(), fresh(&ids));
        assert_eq!(follower.passes().positions(), 51);
    }

    #[test]
    fn a_replay_makes_the_same_passes() {
        let ids: Vec<u32> = (0..200).collect();
        let mut follower = Follower::new(toy());
        follower.logits(&ids[..40]).unwrap();
        follower.logits(&ids[..41]).unwrap();
        follower.begin(&ids, None).unwrap();
        let begun = follower.passes().clone();
        follower.logits(&ids).unwrap();
        let mut again = Follower::new(toy());
        again.logits(&[1, 2, 3]).unwrap();
        again.begin(&ids, Some(begun)).unwrap();
        assert_eq!(again.logits(&ids).unwrap(), fresh(&ids));
        assert_eq!(again.passes(), follower.passes());
    }
}
