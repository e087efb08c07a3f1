//! The reward is the same however it is come by: in one pass or step by step, alone or among rows,
//! after rolling back; and at the beginning the stream is a copy of the original (spec sections
//! 11.4, 8, 11 to 14).

use super::*;
use crate::model::runner::{Runner, Wanted};

#[track_caller]
fn assert_close(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{what}: {a} is not {b} at {at}");
    }
}

/// Spec section 11.8, for every layer at once: what the last norm makes of the stream is what it
/// makes of the original, feature by feature, also with an insertion from the middle on.
#[test]
fn a_mirror_begins_as_the_first_features_of_the_original() {
    for name in FAMILIES {
        let checkpoint = family(name);
        let half = Insertion::last_half(&spec(&checkpoint));
        for insertion in [Insertion::default(), half] {
            let mut made = adapter(&checkpoint, Recipe { insertion, ..Recipe::default() });
            let width = made.facts.sizes.width;
            for feature in [0, width / 2, width - 1] {
                let weight = &mut made.tensors.get_mut("head.reward.weight").unwrap().values;
                weight.fill(0.0);
                weight[feature] = 1.0;
                let mut decoder = load(&checkpoint, WeightForm::F32);
                decoder.insert(Some(&made)).unwrap();
                let output = decoder.prefill(&IDS, Wanted::All).unwrap();
                let original: Vec<f32> =
                    (0..output.rows).map(|row| output.hidden_of(row)[feature]).collect();
                assert_close(&format!("{name}, feature {feature}"), &output.reward, &original);
            }
        }
    }
}

/// Spec section 11.8, second half.
#[test]
fn zeros_beside_the_original_give_the_bias() {
    let checkpoint = family("gemma2");
    let (how, start) = (Initialisation::Zero, Start::Zeros);
    let mut made = adapter(&checkpoint, Recipe { how, start, ..Recipe::default() });
    made.tensors.get_mut("head.reward.bias").unwrap().values[0] = 0.75;
    let mut decoder = load(&checkpoint, WeightForm::F32);
    decoder.insert(Some(&made)).unwrap();
    assert_eq!(decoder.prefill(&IDS, Wanted::All).unwrap().reward, [0.75; IDS.len()]);
}

#[test]
fn every_initialisation_and_insertion_gives_a_finite_reward_that_follows_the_text() {
    let checkpoint = family("qwen3");
    for how in [Initialisation::Mirror, Initialisation::Random] {
        for start in [Start::Hidden, Start::Zeros] {
            for (attention, mlp) in [(true, true), (true, false), (false, true)] {
                let insertion = Insertion { attention, mlp, first_layer: 1 };
                let made =
                    adapter(&checkpoint, Recipe { how, start, insertion, ..Recipe::default() });
                let mut decoder = load(&checkpoint, WeightForm::F32);
                decoder.insert(Some(&made)).unwrap();
                let reward = decoder.prefill(&IDS, Wanted::All).unwrap().reward;
                assert!(reward.iter().all(|reward| reward.is_finite()), "{reward:?}");
                assert!(reward.iter().any(|other| *other != reward[0]), "{reward:?}");
            }
        }
    }
}

/// Spec sections 11.11 and 11.12.
#[test]
fn steps_rolling_back_and_a_reused_prefix_give_the_reward_of_one_pass() {
    for name in FAMILIES {
        let checkpoint = family(name);
        let made = drawn(&checkpoint, Recipe::default());
        for plain in [false, true] {
            let mut decoder = load(&checkpoint, WeightForm::F32);
            decoder.use_plain_operations(plain);
            decoder.insert(Some(&made)).unwrap();
            let whole = decoder.prefill(&IDS, Wanted::All).unwrap().reward;

            decoder.truncate(0).unwrap();
            let mut steps = decoder.prefill(&IDS[..4], Wanted::All).unwrap().reward;
            for id in &IDS[4..] {
                steps.extend(decoder.step(&[*id]).unwrap().reward);
            }
            assert_close(&format!("{name} step by step"), &steps, &whole);

            // Other text, rolled back, and the same text again.
            decoder.truncate(5).unwrap();
            let off = decoder.prefill(&[1, 1, 1, 1], Wanted::All).unwrap().reward;
            decoder.truncate(5).unwrap();
            let again = decoder.prefill(&IDS[5..], Wanted::All).unwrap().reward;
            assert_close(&format!("{name} after rolling back"), &again, &whole[5..]);
            assert_ne!(off[0], again[0], "{name}");

            // What comes later changes nothing before it, to the bit.
            let mut other = IDS;
            other[8..].fill(1);
            decoder.truncate(0).unwrap();
            let other = decoder.prefill(&other, Wanted::All).unwrap().reward;
            decoder.truncate(0).unwrap();
            let same = decoder.prefill(&IDS, Wanted::All).unwrap().reward;
            assert_eq!(other[..8], same[..8], "{name}");
            assert_ne!(other[8..], same[8..], "{name}");
        }
    }
}

/// Heads that nobody asks for are not computed, and everything else stays as it is to the bit.
#[test]
fn heads_are_computed_while_they_are_wanted() {
    let checkpoint = family("qwen3");
    let heads = Heads { experts: true, drafts: 2, ..Heads::default() };
    let made = drawn(&checkpoint, Recipe { heads, ..Recipe::default() });
    let mut decoder = load(&checkpoint, WeightForm::F32);
    decoder.insert(Some(&made)).unwrap();
    let mut passes = Vec::new();
    for (experts, drafts) in [(true, true), (false, true), (true, false), (false, false)] {
        decoder.truncate(0).unwrap();
        decoder.want_heads(experts, drafts);
        let output = decoder.prefill(&IDS, Wanted::All).unwrap();
        assert_eq!(output.detox.len(), if experts { output.logits.len() } else { 0 });
        assert_eq!(output.drafts.len(), if drafts { 2 * IDS.len() } else { 0 });
        passes.push((output.logits, output.reward));
    }
    assert!(passes.iter().all(|pass| *pass == passes[0]));
    decoder.insert(Some(&made)).unwrap();
    let output = decoder.prefill(&IDS, Wanted::Last).unwrap();
    assert!(!output.detox.is_empty() && output.drafts.len() == 2, "all of them anew");
}

/// Spec section 11.13: k candidates in one pass, each against the prefix alone.
#[test]
fn candidates_as_rows_are_candidates_one_by_one() {
    for name in ["llama", "gemma3", "gpt2"] {
        let checkpoint = family(name);
        let made = drawn(&checkpoint, Recipe::default());
        for plain in [false, true] {
            let mut decoder = load(&checkpoint, WeightForm::F32);
            decoder.use_plain_operations(plain);
            decoder.insert(Some(&made)).unwrap();
            let candidates = [5, 9, 2, 30, 14];
            let mut alone = Vec::new();
            for candidate in candidates {
                decoder.truncate(0).unwrap();
                decoder.prefill(&IDS, Wanted::Last).unwrap();
                alone.extend(decoder.step(&[candidate]).unwrap().reward);
            }
            let mut rows = |order: &[u32]| {
                decoder.truncate(0).unwrap();
                decoder.prefill(&IDS, Wanted::Last).unwrap();
                decoder.gather(&vec![0; order.len()]).unwrap();
                decoder.step(order).unwrap().reward
            };
            let together = rows(&candidates);
            assert_close(name, &together, &alone);
            let turned = rows(&[14, 30, 2, 9, 5]);
            let back: Vec<f32> = turned.into_iter().rev().collect();
            assert_close(name, &back, &together);

            // The winner's row goes on as if it had been alone.
            decoder.gather(&[3]).unwrap();
            let on = decoder.step(&[7]).unwrap().reward;
            decoder.truncate(0).unwrap();
            let winner = [14, 30, 2, 9, 5][3];
            let ids: Vec<u32> = IDS.iter().copied().chain([winner, 7]).collect();
            let whole = decoder.prefill(&ids, Wanted::Last).unwrap().reward;
            assert_close(name, &on, &whole);

            // Rows that part and are gathered anew keep their own past.
            decoder.gather(&[0, 0]).unwrap();
            decoder.step(&[1, 2]).unwrap();
            decoder.gather(&[1, 0, 1]).unwrap();
            let parted = decoder.step(&[4, 4, 6]).unwrap().reward;
            for (tail, reward) in [[2, 4], [1, 4], [2, 6]].iter().zip(&parted) {
                let ids: Vec<u32> = ids.iter().chain(tail).copied().collect();
                let mut decoder = load(&checkpoint, WeightForm::F32);
                decoder.insert(Some(&made)).unwrap();
                let whole = decoder.prefill(&ids, Wanted::Last).unwrap().reward;
                assert_close(name, std::slice::from_ref(reward), &whole);
            }
        }
    }
}
