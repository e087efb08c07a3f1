//! Token ids by score: highest first, lowest id first on ties. Sorted only as deep as asked,
//! since nearly every draw lands among the first few of a hundred thousand.

use std::cmp::Ordering;

/// A lazily sorted ranking of all ids.
pub struct Ranking<'a> {
    scores: &'a [f32],
    order: Vec<u32>,
    sorted: usize,
}

impl<'a> Ranking<'a> {
    /// Ranks the ids 0 to `scores.len()`; scores must not be NaN.
    pub fn new(scores: &'a [f32]) -> Self {
        Self { scores, order: (0..scores.len() as u32).collect(), sorted: 0 }
    }

    /// The id at this rank, 0 being the best; `None` past the end.
    pub fn id(&mut self, rank: usize) -> Option<u32> {
        if rank >= self.order.len() {
            return None;
        }
        while rank >= self.sorted {
            self.sort_further();
        }
        Some(self.order[rank])
    }

    fn sort_further(&mut self) {
        let more = self.sorted.max(64);
        let scores = self.scores;
        let by_rank = |a: &u32, b: &u32| compare(scores, *a, *b);
        let rest = &mut self.order[self.sorted..];
        if more < rest.len() {
            rest.select_nth_unstable_by(more - 1, by_rank);
            rest[..more].sort_unstable_by(by_rank);
            self.sorted += more;
        } else {
            rest.sort_unstable_by(by_rank);
            self.sorted = self.order.len();
        }
    }
}

/// The order of two ids: higher score first, then lower id. Total, so an unstable sort is stable.
pub fn compare(scores: &[f32], a: u32, b: u32) -> Ordering {
    scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_full_stable_sort() {
        let scores: Vec<f32> = (0..1000_u32).map(|i| ((i * 7919) % 97) as f32).collect();
        let mut expected: Vec<u32> = (0..1000).collect();
        expected.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        let mut ranking = Ranking::new(&scores);
        let got: Vec<u32> = (0..).map_while(|rank| ranking.id(rank)).collect();
        assert_eq!(got, expected);
        assert_eq!(Ranking::new(&scores).id(999), Some(expected[999]), "deep at once");
        assert_eq!(Ranking::new(&scores).id(1000), None);
    }
}
