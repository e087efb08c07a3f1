//! Some pairs as one packed sequence: every prompt with each of its answers behind the other, each
//! seeing only itself.

use std::ops::Range;
use std::sync::Arc;

use super::encoding::Encoded;
use crate::learn::network::Batch;
use crate::learn::ops::IGNORED;

/// Pairs made ready for a pass: answer `2·i` is pair `i`'s chosen one, `2·i + 1` the rejected.
#[derive(Debug, Clone, PartialEq)]
pub struct PairBatch {
    pub batch: Batch,
    /// For each position the answer that its target belongs to.
    pub owners: Arc<Vec<u32>>,
    pub answers: usize,
}

impl PairBatch {
    /// Packs all answers of these pairs.
    pub fn new(pairs: &[&Encoded]) -> Self {
        Self::at(pairs.iter().map(|pair| (*pair, 1.0)))
    }

    /// The same, with the strength at which each pair is read.
    pub fn at<'a>(pairs: impl Iterator<Item = (&'a Encoded, f32)>) -> Self {
        let (mut ids, mut targets, mut starts, mut owners) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut strengths = Vec::new();
        let mut answers = 0;
        for (pair, strength) in pairs {
            for answer in &pair.answers {
                let start = ids.len() as u32;
                let whole: Vec<u32> = pair.prompt.iter().chain(answer).copied().collect();
                for (at, two) in whole.windows(2).enumerate() {
                    let said = at + 1 >= pair.prompt.len();
                    ids.push(two[0]);
                    targets.push(if said { two[1] } else { IGNORED });
                    starts.push(start);
                    owners.push(answers);
                    strengths.push(strength);
                }
                answers += 1;
            }
        }
        let batch = Batch {
            size: 1,
            sequence: ids.len(),
            ids,
            targets: Arc::new(targets),
            starts: Arc::new(starts),
            strengths: Some(Arc::new(strengths)),
        };
        Self { batch, owners: Arc::new(owners), answers: answers as usize }
    }
}

/// Cuts a row of things of these lengths into at most `count` runs of about the same length.
pub fn shares(lengths: &[usize], count: usize) -> Vec<Range<usize>> {
    let all = lengths.iter().sum::<usize>().max(1);
    let mut parts: Vec<Range<usize>> = Vec::new();
    let (mut seen, mut open) = (0, None);
    for (index, length) in lengths.iter().enumerate() {
        // The part that the middle of it falls into.
        let part = ((seen + length / 2) * count / all).min(count - 1);
        match parts.last_mut() {
            Some(last) if open == Some(part) => last.end = index + 1,
            _ => parts.push(index..index + 1),
        }
        open = Some(part);
        seen += length;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &[u32], chosen: &[u32], rejected: &[u32]) -> Encoded {
        Encoded { prompt: prompt.to_vec(), answers: vec![chosen.to_vec(), rejected.to_vec()] }
    }

    #[test]
    fn only_answers_are_targets_and_nothing_sees_its_neighbour() {
        let (a, b) = (pair(&[1, 2], &[3, 4], &[5]), pair(&[6], &[7], &[8, 9]));
        let PairBatch { batch, owners, answers } = PairBatch::new(&[&a, &b]);
        let x = IGNORED;
        assert_eq!(answers, 4);
        assert_eq!(batch.ids, [1, 2, 3, 1, 2, 6, 6, 8]);
        assert_eq!(*batch.targets, [x, 3, 4, x, 5, 7, 8, 9]);
        assert_eq!(*batch.starts, [0, 0, 0, 3, 3, 5, 6, 6]);
        assert_eq!(*owners, [0, 0, 0, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn shares_hold_everything_once_and_are_of_like_size() {
        let lengths = [5, 1, 9, 2, 2, 7, 3, 4];
        for count in [1, 2, 3, 20] {
            let parts = shares(&lengths, count);
            assert!(parts.len() <= count && parts.iter().all(|part| !part.is_empty()));
            assert!(parts.into_iter().flatten().eq(0..8));
        }
        let halves = shares(&lengths, 2);
        let sums: Vec<usize> =
            halves.iter().map(|part| lengths[part.clone()].iter().sum()).collect();
        assert_eq!(sums, [17, 16]);
        assert_eq!(shares(&lengths[..1], 4), std::iter::once(0..1).collect::<Vec<_>>());
    }
}
