//! Values of candidates: heads of both kinds, ids and text, finished texts (spec section 12, 13,
//! 15 to 17).

use std::path::Path;
use std::sync::Arc;

use super::{pair, side};
use crate::decode::guide::pair::log_probability;
use crate::decode::guide::{Candidate, Judgement, Pair, PrefixScorer, Reading, Side};
use crate::decode::search::tests::table::{TableRunner, tuned, untuned, whole_row};
use crate::model::load::Checkpoints;
use crate::model::reward::{Adapter, Facts};
use crate::model::toy::{ToyOptions, ToyRunner};
use crate::model::value::{Pooling, ValueHead};
use crate::model::{LoadOptions, Loader, Runner, Wanted};

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
fn a_head_of_the_mean_is_the_mean_over_the_reply() {
    let mut weight = vec![0.0; HIDDEN];
    weight[1..=WIDTH].copy_from_slice(&[0.0, 3.0, -1.0, 2.0, 0.5, 1.0, -2.0, 4.0]);
    let last = ValueHead::scalar_with_bias(weight.clone(), 0.25);
    let mean = last.clone().with_pooling(Pooling::Mean);
    let candidates = [of(&[3, 4], false), of(&[7, 2, 6], true), of(&[], false)];
    assert_eq!(scorer(last, Some(5)).score(&candidates).unwrap(), [0.75, 1.25, 0.0]);
    let got = scorer(mean, Some(5)).score(&candidates).unwrap();
    assert_eq!(got, [2.5 / 2.0 + 0.25, 2.0 / 4.0 + 0.25, 0.0], "the end counts as a token");
}

#[test]
fn args_keeps_the_likeliest_and_adds_the_value_of_the_text_with_each() {
    let replies: [&[u32]; 3] = [&[3, 4], &[2, 2], &[7, 0]];
    let candidates: Vec<_> = replies.iter().map(|ids| of(ids, ids[0] == 2)).collect();
    let scores = [0.5, 3.0, -1.0, 2.0, f32::NEG_INFINITY, 2.5, 0.0, 1.0];
    let mut steered = scores.repeat(3);
    scorer(vocabulary_head(), None).correct_among(3, 2.0, &mut steered, &candidates).unwrap();
    for (row, reply) in replies.iter().enumerate() {
        for id in 0..WIDTH as u32 {
            let got = steered[row * WIDTH + id as usize];
            let wanted = match id {
                _ if row == 1 => scores[id as usize],
                1 | 3 | 5 => scores[id as usize] + 2.0 * worth(reply[1], id),
                _ => f32::NEG_INFINITY,
            };
            assert_eq!(got, wanted, "row {row}, id {id}: a finished text is left alone");
        }
    }
    let mut head = vec![0.0; HIDDEN];
    head[1] = f32::NAN;
    let mut nothing = scorer(ValueHead::scalar(head), None);
    let mut steered = scores.to_vec();
    nothing.correct_among(3, 1.0, &mut steered, &[of(&[3], false)]).unwrap();
    assert_eq!(steered.iter().filter(|score| score.is_finite()).count(), 3, "{steered:?}");
    assert_eq!(steered[1], scores[1], "no value changes nothing");
}

#[test]
fn a_reward_model_scores_by_its_one_logit_and_the_bias() {
    fn judge(context: &[u32]) -> Vec<f32> {
        vec![context.iter().fold(0.0, |sum, id| sum * 0.5 + *id as f32); WIDTH]
    }
    let reading = Reading::Ids { prompt: PROMPT.to_vec() };
    let side = Side::new(Box::new(TableRunner::new(judge)), reading, Some(5), 0);
    let mut model = PrefixScorer::new("judge".into(), side, Judgement::Logit(0.25), WIDTH);
    let replies = [of(&[3, 4], false), of(&[2], true)];
    let whole: [&[u32]; 2] = [&[0, 1, 3, 4], &[0, 1, 2, 5]];
    let wanted = whole.map(|ids| judge(ids)[0] + 0.25);
    assert_eq!(model.score(&replies).unwrap(), wanted, "the end counts");
    assert!(model.correct(1.0, &mut [0.0; WIDTH], &replies[..1]).is_err());
}

#[test]
fn an_adapter_scores_by_the_reward_of_the_pass() {
    let mut toy = ToyRunner::new(ToyOptions::default());
    let adapter =
        Adapter { facts: Facts { name: "kind".into(), ..Facts::default() }, ..Adapter::default() };
    let replies: [&[u32]; 2] = [&[70, 71, 72], &[70, 80]];
    let wanted: Vec<f32> = replies
        .iter()
        .map(|reply| {
            toy.insert(Some(&adapter)).unwrap();
            let ids = [&[256, 65], *reply].concat();
            toy.prefill(&ids, Wanted::Last).unwrap().reward[0]
        })
        .collect();
    let mut runner = toy.twin().unwrap();
    runner.insert(Some(&adapter)).unwrap();
    let side = Side::new(runner, Reading::Ids { prompt: vec![256, 65] }, None, 0);
    let mut scorer = PrefixScorer::new("kind".into(), side, Judgement::Stream, 300);
    let candidates = replies.map(|ids| of(ids, false));
    assert_eq!(scorer.score(&candidates).unwrap(), wanted);
    assert_ne!(wanted[0], wanted[1]);
    let side = Side::new(toy.twin().unwrap(), Reading::Ids { prompt: vec![256, 65] }, None, 0);
    let mut without = PrefixScorer::new("none".into(), side, Judgement::Stream, 300);
    assert!(without.score(&candidates).unwrap().iter().all(|value| value.is_nan()));
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
fn padding_on_the_right_changes_no_score_of_a_real_model() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/guide");
    let model = Checkpoints.load(&guide, &LoadOptions::default(), &mut |_, _| true).unwrap();
    let width = model.runner.hidden_size();
    let weight: Vec<f32> = (0..width).map(|at| ((at * 7 + 3) % 11) as f32 / 11.0 - 0.4).collect();
    let prompt: Vec<u32> = (300..306).collect();
    let scorer = || {
        let reading = Reading::Ids { prompt: prompt.clone() };
        let side = Side::new(model.runner.twin().unwrap(), reading, Some(4), 0);
        PrefixScorer::new("starter".into(), side, ValueHead::scalar(weight.clone()), 4096)
    };
    let replies: [&[u32]; 3] = [&[310], &[320, 330, 340, 350], &[320, 360]];
    let batch: Vec<_> = replies.iter().map(|ids| of(ids, ids.len() == 2)).collect();
    let together = scorer().score(&batch).unwrap();
    for (candidate, together) in batch.iter().zip(together) {
        let alone = scorer().score(&[*candidate]).unwrap()[0];
        // Values of 2 to 15 were seen to differ by 2e-6 at most: the last bits of f32 sums.
        assert!((together - alone).abs() < 1e-5, "{together} {alone}");
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
