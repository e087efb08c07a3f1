//! How the positions in the cache came to be. The last bits of a matrix product depend on its
//! shape, so a reply over a cache that earlier turns filled differs in them from one over a fresh
//! cache; a recipe therefore keeps the passes, and a replay makes them again.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::mix::{Knobs, Mix};
use crate::model::{Runner, Wanted};
use crate::steer::reward::MOST_CANDIDATES;

/// Passes of one shape under the same strengths, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Positions fed at once by a prefill; 0 for a step.
    pub fed: usize,
    /// Positions of it still in the cache; 1 for a step.
    pub kept: usize,
    /// How often in a row.
    pub times: usize,
    /// For a step over several candidates: how many rows there were, and which of them was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub among: Option<[usize; 2]>,
    /// The strengths of the vectors then.
    #[serde(default, skip_serializing_if = "Mix::is_empty")]
    pub under: Mix,
}

/// The passes behind a cache of one row, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passes(Vec<Pass>);

impl Passes {
    /// Positions they fill.
    pub fn positions(&self) -> usize {
        self.0.iter().map(|pass| pass.kept.saturating_mul(pass.times)).sum()
    }

    /// How many positions from the first on were computed under these strengths.
    pub fn positions_under(&self, mix: &Mix) -> usize {
        let same = self.0.iter().take_while(|pass| pass.under == *mix);
        same.map(|pass| pass.kept.saturating_mul(pass.times)).sum()
    }

    /// Fingerprints of all vectors that were ever in play.
    pub fn vectors(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|pass| pass.under.vectors())
    }

    /// A prefill of this many ids.
    pub fn prefilled(&mut self, count: usize, under: &Mix) {
        self.push(count, count, None, under);
    }

    /// A step of the single row.
    pub fn stepped(&mut self, under: &Mix) {
        self.push(0, 1, None, under);
    }

    /// A step over `rows` candidates, of which this row was kept.
    pub fn stepped_among(&mut self, rows: usize, row: usize, under: &Mix) {
        self.push(0, 1, Some([rows, row]), under);
    }

    fn push(&mut self, fed: usize, kept: usize, among: Option<[usize; 2]>, under: &Mix) {
        match self.0.last_mut() {
            Some(last)
                if (last.fed, last.kept, last.among) == (fed, kept, among)
                    && last.under == *under =>
            {
                last.times += 1;
            }
            _ => self.0.push(Pass { fed, kept, times: 1, among, under: under.clone() }),
        }
    }

    /// Follows the cache's own `truncate`.
    pub fn truncate(&mut self, positions: usize) {
        let all = std::mem::take(&mut self.0);
        let mut left = positions;
        for pass in all {
            let whole = pass.times.min(left / pass.kept.max(1));
            if whole > 0 {
                self.0.push(Pass { times: whole, ..pass.clone() });
            }
            left -= whole * pass.kept;
            if whole < pass.times {
                if left > 0 {
                    self.0.push(Pass { kept: left, times: 1, ..pass });
                }
                return;
            }
        }
    }

    /// Makes the next of these passes again over `ids`, on a cache that holds `done` so far.
    /// False when all have been made.
    pub fn make_next(
        &self,
        runner: &mut dyn Runner,
        knobs: &mut Knobs,
        ids: &[u32],
        done: &mut Self,
    ) -> Result<bool> {
        let start = done.positions();
        let mut before = 0;
        let next = self.0.iter().find(|pass| {
            before += pass.kept.saturating_mul(pass.times);
            before > start
        });
        let Some(Pass { fed, kept, among, under, .. }) = next else { return Ok(false) };
        let (fed, kept, among) = (*fed, *kept, *among);
        ensure!(
            kept <= fed.max(1) && start + kept < ids.len() && runner.len() == start,
            "the recipe's passes do not belong to its prompt"
        );
        knobs.set(runner, under)?;
        if let Some([rows, row]) = among {
            ensure!(row < rows && rows <= MOST_CANDIDATES, "the recipe keeps row {row} of {rows}");
            // Every row computes for itself: the other candidates only gave the pass its shape.
            runner.gather(&vec![0; rows])?;
            runner.step(&vec![ids[start]; rows])?;
            runner.gather(&[row])?;
        } else if fed == 0 {
            runner.step(&ids[start..=start])?;
        } else {
            // What was cut off again only gave the pass its shape: any id will do.
            let mut chunk = ids[start..start + kept].to_vec();
            chunk.resize(fed.min(runner.context_length() - start), ids[start]);
            runner.prefill(&chunk, Wanted::Last)?;
            runner.truncate(start + kept)?;
        }
        done.push(fed, kept, among, under);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::{ToyOptions, ToyRunner};

    fn passes(list: &[(usize, usize, usize)]) -> Passes {
        let pass =
            |&(fed, kept, times)| Pass { fed, kept, times, among: None, under: Mix::default() };
        Passes(list.iter().map(pass).collect())
    }

    fn filled() -> Passes {
        let mut made = Passes::default();
        for count in [128, 128, 45] {
            made.prefilled(count, &Mix::default());
        }
        for _ in 0..10 {
            made.stepped(&Mix::default());
        }
        made
    }

    #[test]
    fn equal_passes_are_counted() {
        assert_eq!(filled(), passes(&[(128, 128, 2), (45, 45, 1), (0, 1, 10)]));
        assert_eq!(filled().positions(), 311);
    }

    #[test]
    fn truncating_keeps_the_shape_of_a_pass_that_was_cut() {
        for (length, expected) in [
            (311, passes(&[(128, 128, 2), (45, 45, 1), (0, 1, 10)])),
            (305, passes(&[(128, 128, 2), (45, 45, 1), (0, 1, 4)])),
            (301, passes(&[(128, 128, 2), (45, 45, 1)])),
            (260, passes(&[(128, 128, 2), (45, 4, 1)])),
            (200, passes(&[(128, 128, 1), (128, 72, 1)])),
            (0, Passes::default()),
        ] {
            let mut made = filled();
            made.truncate(length);
            assert_eq!(made, expected, "to {length}");
            assert_eq!(made.positions(), length);
        }
    }

    #[test]
    fn making_them_again_fills_the_same_cache() {
        let mut wanted = filled();
        wanted.truncate(305);
        wanted.truncate(260);
        wanted.prefilled(20, &Mix::default());
        wanted.stepped(&Mix::default());
        let ids: Vec<u32> = (0..400).map(|i| i % 200).collect();
        let mut runner = ToyRunner::new(ToyOptions::default());
        let mut done = Passes::default();
        let mut knobs = Knobs::default();
        while wanted.make_next(&mut runner, &mut knobs, &ids, &mut done).unwrap() {}
        assert_eq!(done, wanted);
        assert_eq!(runner.ids(), &ids[..281]);
    }

    #[test]
    fn passes_of_another_prompt_are_refused() {
        let mut runner = ToyRunner::new(ToyOptions::default());
        for wrong in [filled(), passes(&[(2, 5, 1)]), passes(&[(usize::MAX, usize::MAX, 9)])] {
            let (mut knobs, mut done) = (Knobs::default(), Passes::default());
            let made = wrong.make_next(&mut runner, &mut knobs, &[1, 2, 3], &mut done);
            assert!(made.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn strengths_part_the_passes_and_a_recipe_without_them_is_still_read() {
        let mix = Mix::new([("a".to_owned(), 0.5)]);
        let mut made = Passes::default();
        made.prefilled(128, &Mix::default());
        made.prefilled(128, &mix);
        made.stepped(&mix);
        made.stepped(&Mix::default());
        assert_eq!(made.positions_under(&Mix::default()), 128);
        assert_eq!(made.positions_under(&mix), 0);
        assert_eq!(made.vectors().collect::<Vec<_>>(), ["a", "a"]);
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Passes>(&json).unwrap(), made);
        let old = r#"[{"fed":128,"kept":128,"times":2}]"#;
        assert_eq!(serde_json::from_str::<Passes>(old).unwrap(), passes(&[(128, 128, 2)]));
    }
}
