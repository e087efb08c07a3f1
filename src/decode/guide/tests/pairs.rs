//! The implicit value at token level (spec section 12, 1 to 4 and 20, 21, 23).

use super::{pair, side};
use crate::decode::guide::{Candidate, Guides, Pair, shared_vocabulary};
use crate::decode::search::tests::table::{
    Letters, Table, TableRunner, letters, markov, tuned, untuned,
};
use crate::decode::search::tests::{stage, table};

const PROMPT: [u32; 2] = [0, 1];

fn guides(tuned: Table, untuned: Option<Table>, beta: f32) -> Guides {
    let pairs = vec![(pair(tuned, untuned, 3, &PROMPT), beta)];
    Guides { pairs, base_filter: 1.0, ..Guides::default() }
}

/// What guides make of the base after some reply.
fn corrected(mut guides: Guides, reply: &[u32]) -> Vec<f32> {
    let mut logits = markov(&[&PROMPT[..], reply].concat());
    guides.correct(&mut logits, &[Candidate::of_ids(reply)]).unwrap();
    logits
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let mass: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
    logits.iter().map(|z| f64::from(*z).exp() / mass).collect()
}

fn assert_near(a: &[f32], b: &[f32]) {
    for (a, b) in softmax(a).iter().zip(softmax(b)) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
}

#[test]
fn off_is_the_base_to_the_bit_and_no_guide_is_fed() {
    for reply in [&[][..], &[2], &[1, 0, 2]] {
        let base = markov(&[&PROMPT[..], reply].concat());
        assert_eq!(corrected(guides(tuned, Some(untuned), 0.0), reply), base);
        assert_eq!(corrected(Guides::default(), reply), base);
        // The same two models differ by exactly nothing.
        for beta in [0.5, 1.0, 7.5] {
            assert_eq!(corrected(guides(tuned, Some(tuned), beta), reply), base);
        }
    }
    let runner = TableRunner::new(tuned);
    let fed = runner.fed.clone();
    let side = crate::decode::guide::Side::new(
        Box::new(runner),
        crate::decode::guide::Reading::Ids { prompt: PROMPT.to_vec() },
        None,
        0,
    );
    let off = Pair::new("off".into(), side, None, 3);
    let handle = std::sync::Arc::new(parking_lot::Mutex::new(off));
    let mut off = Guides { pairs: vec![(handle, 0.0)], base_filter: 0.5, ..Guides::default() };
    let mut logits = markov(&PROMPT);
    off.correct(&mut logits, &[Candidate::of_ids(&[])]).unwrap();
    assert_eq!((logits, *fed.lock()), (markov(&PROMPT), (0, 0)));
}

#[test]
fn with_the_base_as_the_untuned_model_one_is_the_tuned_model() {
    for reply in [&[][..], &[2, 2], &[0, 1, 2]] {
        let context = [&PROMPT[..], reply].concat();
        assert_near(&corrected(guides(tuned, None, 1.0), reply), &tuned(&context));
        assert_near(&corrected(guides(tuned, Some(markov), 1.0), reply), &tuned(&context));
    }
}

#[test]
fn several_pairs_add_up() {
    let mut both = guides(tuned, Some(untuned), 0.5);
    both.pairs.push((pair(untuned, Some(markov), 3, &PROMPT), -0.25));
    let got = corrected(both, &[1]);
    let context = [0, 1, 1];
    let (base, t, u) = (markov(&context), tuned(&context), untuned(&context));
    for id in 0..3 {
        let wanted = base[id] + 0.5 * (t[id] - u[id]) - 0.25 * (u[id] - base[id]);
        assert!((got[id] - wanted).abs() < 1e-6);
    }
}

#[test]
fn a_constant_on_one_models_logits_changes_no_distribution() {
    let plain = corrected(guides(tuned, Some(untuned), 1.5), &[2]);
    let mut runner = TableRunner::new(tuned);
    runner.shift = 40.0;
    let reading = crate::decode::guide::Reading::Ids { prompt: PROMPT.to_vec() };
    let shifted = crate::decode::guide::Side::new(Box::new(runner), reading, None, 0);
    let pair = Pair::new("shifted".into(), shifted, Some(side(untuned, &PROMPT)), 3);
    let handle = std::sync::Arc::new(parking_lot::Mutex::new(pair));
    let shifted = Guides { pairs: vec![(handle, 1.5)], base_filter: 1.0, ..Guides::default() };
    for (a, b) in softmax(&plain).iter().zip(softmax(&corrected(shifted, &[2]))) {
        assert!((a - b).abs() < 1e-4, "f32 at 60");
    }
}

#[test]
fn minus_infinity_stays_and_never_becomes_nan() {
    fn banned(ids: &[u32]) -> Vec<f32> {
        let mut logits = tuned(ids);
        logits[0] = f32::NEG_INFINITY;
        logits
    }
    let got = corrected(guides(banned, Some(banned), 2.0), &[1]);
    let base = markov(&[0, 1, 1]);
    assert_eq!(got[0], base[0], "minus infinity less minus infinity is no difference");
    let got = corrected(guides(banned, Some(untuned), 2.0), &[1]);
    assert_eq!(got[0], f32::NEG_INFINITY);
    let got = corrected(guides(tuned, Some(banned), 2.0), &[1]);
    assert_eq!(got[0], f32::INFINITY, "the sampler refuses that by name");
    let mut filtered = guides(tuned, Some(untuned), 3.0);
    filtered.base_filter = 0.5;
    let got = corrected(filtered, &[1]);
    assert_eq!(got.iter().filter(|z| **z == f32::NEG_INFINITY).count(), 2, "{got:?}");
    assert!(got[1].is_finite());
}

#[test]
fn padding_of_a_wider_head_is_never_drawn() {
    fn padded(ids: &[u32]) -> Vec<f32> {
        [tuned(ids), vec![9.0; 2]].concat()
    }
    let got = corrected(guides(padded, Some(untuned), 1.0), &[2]);
    assert_eq!(got.len(), 3);
    let mut wide: Vec<f32> = [markov(&PROMPT), vec![5.0; 2]].concat();
    guides(tuned, Some(untuned), 1.0).correct(&mut wide, &[Candidate::of_ids(&[])]).unwrap();
    assert_eq!(&wide[3..], [f32::NEG_INFINITY; 2]);
}

#[test]
fn strengths_change_between_tokens_without_feeding_anything_again() {
    let runner = TableRunner::new(tuned);
    let fed = runner.fed.clone();
    let reading = crate::decode::guide::Reading::Ids { prompt: PROMPT.to_vec() };
    let followed = crate::decode::guide::Side::new(Box::new(runner), reading, None, 0);
    let pair = Pair::new("live".into(), followed, None, 3);
    let handle = std::sync::Arc::new(parking_lot::Mutex::new(pair));
    let mut live = Guides { pairs: vec![(handle, 1.0)], base_filter: 1.0, ..Guides::default() };
    let mut reply = Vec::new();
    for (step, beta) in [1.0, 0.0, -2.0, 0.5].into_iter().enumerate() {
        live.pairs[0].1 = beta;
        let mut logits = markov(&[&PROMPT[..], &reply].concat());
        live.correct(&mut logits, &[Candidate::of_ids(&reply)]).unwrap();
        assert!(fed.lock().1 <= step);
        reply.push(step as u32 % 3);
    }
    let (prefilled, stepped) = *fed.lock();
    assert_eq!(prefilled + stepped, 2 + 3, "each token once, those drawn while it was off, too");
}

#[test]
fn the_sum_of_log_ratios_telescopes() {
    // Tuned is softmax(log p_untuned + A): along any path the sum of log-ratios is the sum of A
    // less the log-normalisers.
    fn advantage(ids: &[u32]) -> Vec<f32> {
        (0..3).map(|id| ((ids.len() as u32 * 7 + id * 5) % 11) as f32 / 5.0 - 1.0).collect()
    }
    fn aligned(ids: &[u32]) -> Vec<f32> {
        untuned(ids).iter().zip(advantage(ids)).map(|(z, a)| z + a).collect()
    }
    let made = pair(aligned, Some(untuned), 3, &PROMPT);
    let reply = [2, 0, 1, 1, 0, 2];
    let got = made.lock().log_ratios(&[Candidate::of_ids(&reply)]).unwrap()[0];
    let mut wanted = 0.0;
    for at in 0..reply.len() {
        let context = [&PROMPT[..], &reply[..at]].concat();
        let (a, p) = (advantage(&context), softmax(&untuned(&context)));
        let normaliser: f64 = p.iter().zip(&a).map(|(p, a)| p * f64::from(*a).exp()).sum();
        wanted += f64::from(a[reply[at] as usize]) - normaliser.ln();
    }
    assert!((f64::from(got) - wanted).abs() < 1e-4, "{got} {wanted}");
}

#[test]
fn vocabularies_are_compared_byte_for_byte() {
    let base = letters(5, Vec::new());
    let base = base.vocabulary.as_ref();
    assert_eq!(shared_vocabulary(base, &Letters(5)), Ok(5));
    let parting = shared_vocabulary(base, &Letters(7)).unwrap_err();
    assert_eq!((parting.id, parting.base.as_str(), parting.guide.as_str()), (5, "nothing", "f"));
    let said = parting.problem("the guide").to_string();
    assert!(said.contains("token 5") && said.contains("chunk level"), "{said}");
    let toy = crate::model::toy::ToyVocabulary;
    assert_eq!(shared_vocabulary(&toy, &toy), Ok(crate::model::Vocabulary::size(&toy)));
    assert_eq!(shared_vocabulary(&toy, base).unwrap_err().id, 0);
}

#[test]
fn a_guided_reply_of_one_row_goes_through_the_rule() {
    let stage = stage::Stage::new(letters(3, Vec::new()), table::markov);
    let plan = stage::plan(1, 1, 0, 30);
    let off = stage.plain(&plan, Some(guides(tuned, Some(untuned), 0.0)));
    assert_eq!(off, stage.plain(&plan, None));
    let on = stage.plain(&plan, Some(guides(tuned, Some(untuned), 4.0)));
    let liked = |ids: &[u32]| ids.iter().filter(|id| **id == 1).count();
    assert!(liked(&on) > liked(&off), "{on:?} {off:?}");
}
