//! Packing documents of any length into sequences of one length, in an order that a seed fixes.

use std::sync::Arc;

use super::markup;
use crate::learn::network::Batch;
use crate::learn::ops::IGNORED;
use crate::learn::random::Draws;

/// The padding's id: the end-of-text marker.
const PADDING: u32 = 0;

/// One packed sequence: pieces of documents, each `(document, from, to)` in token positions.
type Row = Vec<(usize, usize, usize)>;

/// The sequences of one pass over the documents.
pub struct Epoch<'a> {
    documents: &'a [Vec<u32>],
    rows: Vec<Row>,
    sequence: usize,
    /// Documents of which only what the assistant says is learnt; empty for none.
    answers_only: Vec<bool>,
}

impl<'a> Epoch<'a> {
    /// Puts the documents in this epoch's order and packs them. A document that fits goes whole
    /// into the first of a few open sequences with room for it; a longer one is cut.
    pub fn new(documents: &'a [Vec<u32>], sequence: usize, seed: u64, epoch: u64) -> Self {
        const OPEN: usize = 16;
        let mut draws = Draws::new(seed, 0x7061_636B_0000 + epoch);
        let mut order: Vec<usize> = (0..documents.len()).collect();
        draws.shuffle(&mut order);
        let mut done: Vec<Row> = Vec::new();
        let mut open: Vec<(usize, Row)> = Vec::new();
        for document in order {
            let length = documents[document].len();
            let mut from = 0;
            // The last token of a cut opens the next, so that every transition is learnt once.
            while length - from > sequence + 1 {
                done.push(vec![(document, from, from + sequence + 1)]);
                from += sequence;
            }
            if length - from < 2 {
                continue;
            }
            let needed = length - from - 1;
            match open.iter().position(|(used, _)| used + needed <= sequence) {
                Some(i) => {
                    open[i].0 += needed;
                    open[i].1.push((document, from, length));
                }
                None => {
                    if open.len() == OPEN {
                        let fullest = (0..OPEN).max_by_key(|&i| open[i].0).unwrap_or(0);
                        done.push(open.swap_remove(fullest).1);
                    }
                    open.push((needed, vec![(document, from, length)]));
                }
            }
        }
        done.extend(open.into_iter().map(|(_, row)| row));
        draws.shuffle(&mut done);
        Self { documents, rows: done, sequence, answers_only: Vec::new() }
    }

    /// Of all but this share of the documents, drawn anew for each epoch, only what the assistant
    /// says is learnt. What others say can hardly be predicted, and would be most of the loss.
    #[must_use]
    pub fn with_prompt_share(mut self, share: f64, seed: u64, epoch: u64) -> Self {
        if share < 1.0 {
            let mut draws = Draws::new(seed, 0x7072_6F6D_0000 + epoch);
            self.answers_only = self.documents.iter().map(|_| !draws.chance(share)).collect();
        }
        self
    }

    /// Whole batches in this epoch, at least one when there is any sequence.
    pub fn batches(&self, size: usize) -> usize {
        (self.rows.len() / size).max(usize::from(!self.rows.is_empty()))
    }

    /// One batch; rows missing at the end are padding.
    pub fn batch(&self, index: usize, size: usize) -> Batch {
        let length = self.sequence;
        let mut ids = vec![PADDING; size * length];
        let mut targets = vec![IGNORED; size * length];
        let mut starts = vec![0; size * length];
        for (row, pieces) in self.rows.iter().skip(index * size).take(size).enumerate() {
            let mut at = row * length;
            for &(document, from, to) in pieces {
                let tokens = &self.documents[document][from..to];
                let count = tokens.len() - 1;
                ids[at..at + count].copy_from_slice(&tokens[..count]);
                targets[at..at + count].copy_from_slice(&tokens[1..]);
                if self.answers_only.get(document).is_some_and(|only| *only) {
                    let prompts = markup::of_prompts(&self.documents[document][..to]);
                    for (target, is_prompt) in
                        targets[at..at + count].iter_mut().zip(prompts.skip(from + 1))
                    {
                        if is_prompt {
                            *target = IGNORED;
                        }
                    }
                }
                starts[at..at + count].fill((at - row * length) as u32);
                at += count;
            }
            // Padding sees only itself: it must not cost attention, and its rows teach nothing.
            for (i, start) in starts[at..(row + 1) * length].iter_mut().enumerate() {
                *start = (at + i - row * length) as u32;
            }
        }
        Batch {
            size,
            sequence: length,
            ids,
            targets: Arc::new(targets),
            starts: Arc::new(starts),
            strengths: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Vec<u32>> {
        (0..50_u32).map(|d| (0..3 + (d * 7) % 40).map(|i| 100 * d + i + 1).collect()).collect()
    }

    #[test]
    fn every_transition_is_learnt_exactly_once() {
        let documents = documents();
        let epoch = Epoch::new(&documents, 16, 5, 0);
        let mut seen = Vec::new();
        for index in 0..epoch.rows.len() {
            let batch = epoch.batch(index, 1);
            let pairs = batch.ids.iter().zip(batch.targets.iter());
            seen.extend(pairs.filter(|(_, t)| **t != IGNORED).map(|(i, t)| (*i, *t)));
        }
        let mut wanted: Vec<(u32, u32)> =
            documents.iter().flat_map(|d| d.windows(2).map(|w| (w[0], w[1]))).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn documents_do_not_see_each_other() {
        let documents = documents();
        let batch = Epoch::new(&documents, 64, 5, 0).batch(0, 2);
        for (at, &start) in batch.starts.iter().enumerate() {
            let begin = at / 64 * 64 + start as usize;
            assert!(begin <= at);
            if batch.targets[at] != IGNORED {
                assert_eq!(batch.ids[begin] / 100, batch.ids[at] / 100, "one document");
            }
        }
    }

    #[test]
    fn prompts_are_learnt_of_a_share_of_the_documents() {
        // Two turns each: <|user|> question <|end|> <|assistant|> answer, answer <|end|>, twice.
        let turn = |d: u32| [2, 100 + d, 4, 3, 300 + d, 500 + d, 4];
        let documents: Vec<Vec<u32>> = (0..100).map(|d| turn(d).repeat(2)).collect();
        let targets = |share: f64, epoch: u64| {
            let epoch = Epoch::new(&documents, 10, 5, epoch).with_prompt_share(share, 5, epoch);
            let rows = 0..epoch.rows.len();
            let all = rows.flat_map(|row| epoch.batch(row, 1).targets.to_vec());
            all.filter(|&t| t != IGNORED).collect::<Vec<u32>>()
        };
        let of =
            |targets: &[u32], hundred: u32| targets.iter().filter(|&&t| t / 100 == hundred).count();
        for (share, least, most) in [(0.0, 0, 0), (0.3, 30, 90), (1.0, 200, 200)] {
            let targets = targets(share, 0);
            assert_eq!((of(&targets, 3), of(&targets, 5)), (200, 200), "every answer is learnt");
            let questions = of(&targets, 1);
            assert!((least..=most).contains(&questions), "{share}: {questions}");
            // The end of an answer is learnt, too; the question's marker and end go with it.
            assert_eq!(targets.iter().filter(|&&t| t == 4).count(), 200 + questions);
        }
        assert_ne!(targets(0.3, 0), targets(0.3, 1), "drawn anew for each epoch");
    }

    #[test]
    fn seed_and_epoch_fix_the_order() {
        let documents = documents();
        let batch = |seed, epoch| Epoch::new(&documents, 32, seed, epoch).batch(0, 4);
        assert_eq!(batch(1, 0), batch(1, 0));
        assert_ne!(batch(1, 0), batch(1, 1));
        assert_ne!(batch(1, 0), batch(2, 0));
    }
}
