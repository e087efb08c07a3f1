//! Values of candidates: heads of both kinds, ids and text, finished texts (spec section 12, 13,
//! 15 to 17).

use std::sync::Arc;

use super::{pair, side};
use crate::decode::guide::pair::log_probability;
use crate::decode::guide::{Candidate, Pair, PrefixScorer, Reading, Side};
use crate::decode::search::tests::table::{TableRunner, tuned, untuned, whole_row};
use crate::model::value::ValueHead;

const PROMPT: [u32; 2] = [0, 1];
const WIDTH: usize = 8;
const HIDDEN: usize = 2 * WIDTH + 1;

/// A value that depends on the last two ids, read one position early: column v of the head sees
/// the id before v.
fn worth(before: u32, last: u32) -> f32 {
    ((before * 5 + last * 3) % 7) as f32 - 3.0
}

fn vocabulary_head() -> ValueHead {
    let mut weight = vec![0.0; WIDTH * HIDDEN];
    for last in 0..WIDTH as u32 {
        for before in 0..WIDTH as u32 {
            weight[last as usize * HIDDEN + 1 + before as usize] = worth(before, last);
        }
    }
    ValueHead::vocabulary(weight, HIDDEN).unwrap()
}

/// The same for values that are sums of what each of the two last ids is worth.
fn additive(before: u32, last: u32) -> f32 {
    before as f32 * 0.5 - last as f32
}

fn scorer(head: ValueHead, end: Option<u32>) -> PrefixScorer {
    let reading = Reading::Ids { prompt: PROMPT.to_vec() };
    let side = Side::new(Box::new(TableRunner::new(whole_row)), reading, end, 0);
    PrefixScorer::new("toy".into(), side, head, WIDTH)
}

fn of(ids: &[u32], finished: bool) -> Candidate<'_> {
    Candidate { finished, ..Candidate::of_ids(ids) }
}

#[test]
fn a_vocabulary_head_scores_every_continuation_as_if_it_were_taken() {
    let replies: [&[u32]; 3] = [&[3, 4], &[2, 2], &[7, 0]];
    let mut head = scorer(vocabulary_head(), None);
    let candidates: Vec<_> = replies.iter().map(|ids| of(ids, false)).collect();
    let mut next = vec![0.0; 3 * WIDTH];
    head.correct(1.0, &mut next, &candidates).unwrap();
    for v in 0..WIDTH as u32 {
        let longer: Vec<Vec<u32>> = replies.iter().map(|ids| [*ids, &[v]].concat()).collect();
        let longer: Vec<_> = longer.iter().map(|ids| of(ids, false)).collect();
        let scored = scorer(vocabulary_head(), None).score(&longer).unwrap();
        for (row, reply) in replies.iter().enumerate() {
            assert_eq!(scored[row], worth(reply[1], v));
            assert_eq!(next[row * WIDTH + v as usize], scored[row]);
        }
    }
}

#[test]
fn both_kinds_of_head_agree_on_a_model_built_to_be_equal() {
    let mut weight = vec![0.0; WIDTH * HIDDEN];
    let mut scalar = vec![0.0; HIDDEN];
    for last in 0..WIDTH as u32 {
        scalar[1 + last as usize] = additive(0, last);
        scalar[1 + WIDTH + last as usize] = additive(last, 0);
        for before in 0..WIDTH as u32 {
            weight[last as usize * HIDDEN + 1 + before as usize] = additive(before, last);
        }
    }
    let candidates = [of(&[1, 2, 3], false), of(&[4, 4, 4], true), of(&[0, 7, 7], false)];
    let vocabulary = ValueHead::vocabulary(weight, HIDDEN).unwrap();
    let one = scorer(vocabulary, Some(5)).score(&candidates).unwrap();
    let other = scorer(ValueHead::scalar(scalar), Some(5)).score(&candidates).unwrap();
    assert_eq!(one, other);
    assert_eq!(one[1], additive(4, 5), "the end counts where the text is finished");
}

#[test]
fn a_scalar_head_cannot_act_on_tokens_and_says_so() {
    let mut scalar = scorer(ValueHead::scalar(vec![1.0; HIDDEN]), None);
    let error = scalar.correct(1.0, &mut [0.0; WIDTH], &[of(&[1], false)]).unwrap_err();
    assert!(error.to_string().contains("rank chunks"), "{error}");
}

#[test]
fn unequal_texts_in_one_batch_score_as_they_do_alone() {
    let replies: [&[u32]; 4] = [&[1], &[2, 3, 4, 5], &[6, 6], &[2, 3, 4]];
    let batch: Vec<_> = replies.iter().map(|ids| of(ids, ids.len() == 2)).collect();
    let together = scorer(vocabulary_head(), Some(0)).score(&batch).unwrap();
    for (row, candidate) in batch.iter().enumerate() {
        let alone = scorer(vocabulary_head(), Some(0)).score(&[*candidate]).unwrap();
        assert_eq!(together[row], alone[0]);
    }
}

#[test]
fn kept_caches_give_what_reading_it_all_anew_gives() {
    let kept = pair(tuned, Some(untuned), 3, &PROMPT);
    let mut rows = vec![vec![], vec![], vec![]];
    for step in 0..9_u32 {
        for (at, row) in rows.iter_mut().enumerate() {
            row.push((step * 2 + at as u32) % 3);
        }
        if step % 3 == 2 {
            rows = [2, 0, 2].map(|parent: usize| rows[parent].clone()).to_vec();
        }
        let finished = |at: usize| step == 8 && at == 1;
        let candidates: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(at, ids)| Candidate { end: Some(2), ..of(ids, finished(at)) })
            .collect();
        let live = kept.lock().log_ratios(&candidates).unwrap();
        let fresh = pair(tuned, Some(untuned), 3, &PROMPT).lock().log_ratios(&candidates).unwrap();
        for (at, (a, b)) in live.iter().zip(fresh).enumerate() {
            assert!((a - b).abs() < 1e-4);
            let mut context = PROMPT.to_vec();
            let mut by_hand = 0.0;
            for id in rows[at].iter().chain(finished(at).then_some(&2)) {
                let (t, u) = (tuned(&context), untuned(&context));
                by_hand += log_probability(&t, *id) - log_probability(&u, *id);
                context.push(*id);
            }
            assert!((a - by_hand).abs() < 1e-4, "{a} {by_hand}");
        }
    }
}

#[test]
fn text_and_ids_agree_where_tokenising_again_changes_nothing() {
    let text_side = |table| {
        let prompt = PROMPT.to_vec();
        let tokenise = Arc::new(|reply: &str| {
            let ids = reply.bytes().map(|byte| u32::from(byte - b'a'));
            Ok(PROMPT.iter().copied().chain(ids).collect())
        });
        let reading = Reading::Text { prompt, tokenise };
        Side::new(Box::new(TableRunner::new(table)), reading, Some(2), 0)
    };
    let mut by_text = Pair::new("text".into(), text_side(tuned), Some(text_side(untuned)), 0);
    assert!(!by_text.acts_on_tokens());
    assert!(by_text.correct(1.0, &mut [0.0; 3], &[0.0; 3], &[of(&[], false)]).is_err());
    let by_ids = pair(tuned, Some(untuned), 3, &PROMPT);
    let _ = side(tuned, &PROMPT);
    let rounds: [[(&[u32], &str); 2]; 3] = [
        [(&[1, 2], "bc"), (&[0, 0], "aa")],
        [(&[0, 0, 2, 1], "aacb"), (&[0, 0], "aa")],
        [(&[1, 2, 2], "bcc"), (&[0, 0, 2, 1, 1], "aacbb")],
    ];
    for round in rounds {
        let candidates: Vec<_> = round
            .iter()
            .map(|(ids, text)| Candidate {
                text,
                end: Some(2),
                finished: ids.len() == 2,
                ..Candidate::of_ids(ids)
            })
            .collect();
        let a = by_text.log_ratios(&candidates).unwrap();
        let b = by_ids.lock().log_ratios(&candidates).unwrap();
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn without_an_untuned_model_the_bases_own_log_probabilities_count() {
    let alone = pair(tuned, None, 3, &PROMPT);
    let mut candidate = of(&[1, 2], false);
    candidate.base_logprob = -3.5;
    let got = alone.lock().log_ratios(&[candidate]).unwrap()[0];
    let sum = log_probability(&tuned(&PROMPT), 1) + log_probability(&tuned(&[0, 1, 1]), 2);
    assert!((got - (sum + 3.5)).abs() < 1e-5);
}
