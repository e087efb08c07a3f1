//! Alignment vectors beside the weights against vectors added to them: the invariants of the
//! method's spec (section 12) on small models of every family, dense and quantised.

mod made;
mod making;
mod mixed;
mod talk;

use std::sync::Arc;

use tiller::decode::{Mixture, Position, TokenRule};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::vector::{Part, Vector};
use tiller::model::weights::WeightForm;

use made::{Kind, farthest, load, merged, open, vector};

/// One of each family, dense f32 and 16 bits, heads tied and not, names nested and bare.
const FAMILIES: [&str; 9] =
    ["llama", "llama-tied", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3-nested", "gpt2"];
const IDS: [u32; 9] = [5, 17, 40, 3, 88, 9, 61, 30, 2];

fn logits(decoder: &mut dyn Runner) -> Vec<f32> {
    decoder.truncate(0).unwrap();
    decoder.prefill(&IDS, Wanted::All).unwrap().logits
}

fn at(decoder: &mut dyn Runner, strengths: &[f32]) -> Vec<f32> {
    decoder.set_strengths(strengths).unwrap();
    logits(decoder)
}

/// Highest logits of every position.
fn best(logits: &[f32]) -> Vec<usize> {
    let width = logits.len() / IDS.len();
    let best = |row: &[f32]| (0..width).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    logits.chunks(width).map(best).collect()
}

/// Invariants 4, 13 and 14, and 5 for two vectors at once: beside the weights is as good as in them.
#[test]
fn beside_the_weights_equals_added_to_them() {
    for family in FAMILIES {
        // In f32 first: Gemma's scale on embeddings depends on the type they are stored in.
        let (_folder, base) = merged(&open(&format!("families/{family}")), &[]);
        for kind in [Kind::Factors, Kind::Full] {
            let (one, two) = (vector(&base, kind, 1, 0.02), vector(&base, kind, 2, 0.02));
            let mut decoder = load(&base, WeightForm::F32);
            decoder.attach(&[Arc::new(one.clone()), Arc::new(two.clone())]).unwrap();
            let plain = logits(&mut decoder);
            for [a, b] in [[1.0, 0.0], [0.5, -0.7], [-1.0, 1.5]] {
                let (_folder, whole) = merged(&base, &[(&one, a), (&two, b)]);
                let wanted = logits(&mut load(&whole, WeightForm::F32));
                let got = at(&mut decoder, &[a, b]);
                let most = farthest(&got, &wanted);
                println!(
                    "{family} {kind:?} {a} {b}: {most:.1e}, moved {:.1e}",
                    farthest(&got, &plain)
                );
                assert!(most < 1e-4, "{family} {kind:?} at {a}, {b}: {most:e}");
                assert!(farthest(&got, &plain) > 1e-2, "{family} {kind:?}: nothing moved");
            }
            assert_eq!(at(&mut decoder, &[0.0, 0.0]), plain, "{family} {kind:?}");
        }
    }
}

/// Invariant 4 on 16-bit and quantised weights: beside the same rounded base, not merged into it.
#[test]
fn a_rounded_base_is_steered_as_its_exact_twin() {
    for (family, form, allowed) in [
        ("qwen2", WeightForm::BF16, 5e-2),
        ("llama", WeightForm::F16, 5e-2),
        ("llama", WeightForm::Q8_0, 0.2),
    ] {
        let base = open(&format!("families/{family}"));
        let vector = Arc::new(vector(&base, Kind::Factors, 3, 0.02));
        let (mut exact, mut rounded) = (load(&base, WeightForm::F32), load(&base, form));
        exact.attach(&[Arc::clone(&vector)]).unwrap();
        rounded.attach(&[vector]).unwrap();
        let plain = logits(&mut rounded);
        let (wanted, got) = (at(&mut exact, &[1.0]), at(&mut rounded, &[1.0]));
        let most = farthest(&got, &wanted);
        assert!(most < allowed, "{family} in {form}: {most}");
        if form != WeightForm::Q8_0 {
            assert_eq!(best(&got), best(&wanted), "{family} in {form}");
        }
        assert_ne!(got, plain);
        assert_eq!(at(&mut rounded, &[0.0]), plain, "{family} in {form}");
    }
}

/// Invariants 5 and 6: order, halves, cancelling, and the scale of factors.
#[test]
fn strengths_add_up() {
    for family in ["qwen3", "gemma2", "gpt2"] {
        let base = open(&format!("families/{family}"));
        let one = Arc::new(vector(&base, Kind::Factors, 1, 0.02));
        let two = Arc::new(vector(&base, Kind::Factors, 2, 0.02));
        let mut decoder = load(&base, WeightForm::F32);
        let mut of = |vectors: &[&Arc<Vector>], strengths: &[f32]| {
            let vectors: Vec<Arc<Vector>> =
                vectors.iter().map(|vector| Arc::clone(vector)).collect();
            decoder.attach(&vectors).unwrap();
            at(&mut decoder, strengths)
        };
        let plain = of(&[], &[]);
        let both = of(&[&one, &two], &[0.5, -1.0]);
        assert!(farthest(&both, &of(&[&two, &one], &[-1.0, 0.5])) < 1e-5, "{family}");
        let whole = of(&[&one], &[1.0]);
        assert!(farthest(&whole, &of(&[&one, &one], &[0.5, 0.5])) < 1e-5, "{family}");
        assert!(farthest(&plain, &of(&[&one, &one], &[0.8, -0.8])) < 1e-5, "{family}");
        let mut doubled = (*one).clone();
        for part in doubled.parts.values_mut() {
            match part {
                Part::LowRank { scale, .. } => *scale *= 2.0,
                Part::Full { values, .. } => values.iter_mut().for_each(|value| *value *= 2.0),
                Part::Replacement { .. } => unreachable!("none was made"),
            }
        }
        assert!(farthest(&whole, &of(&[&Arc::new(doubled)], &[0.5])) < 1e-5, "{family}");
    }
}

/// Invariant 9: what is not linear in the strength vanishes with it.
#[test]
fn small_strengths_act_linearly() {
    let base = open("families/qwen3");
    let mut decoder = load(&base, WeightForm::F32);
    decoder.attach(&[Arc::new(vector(&base, Kind::Factors, 4, 0.05))]).unwrap();
    let plain = logits(&mut decoder);
    let mut moved = |strength: f32| -> Vec<f64> {
        let steered = at(&mut decoder, &[strength]);
        steered.iter().zip(&plain).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    };
    let mut bend = |e: f32| {
        let (near, far) = (moved(e), moved(2.0 * e));
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let off = norm(&mut far.iter().zip(&near).map(|(far, near)| far - 2.0 * near));
        off / norm(&mut near.iter().copied())
    };
    let bends = [0.1, 0.05, 0.025].map(&mut bend);
    println!("{bends:.4?}");
    for pair in bends.windows(2) {
        assert!(pair[1] > 0.0 && (1.5..2.7).contains(&(pair[0] / pair[1])), "{bends:?}");
    }
}

/// Invariant 11: rows of one batch under strengths of their own equal runs of their own.
#[test]
fn each_row_may_have_its_own_strengths() {
    for (family, form) in
        [("qwen3", WeightForm::F32), ("gpt2", WeightForm::F32), ("gemma2", WeightForm::BF16)]
    {
        for plain in [false, true] {
            let base = open(&format!("families/{family}"));
            let vector = Arc::new(vector(&base, Kind::Factors, 5, 0.02));
            let load = || {
                let mut decoder = load(&base, form);
                decoder.use_plain_operations(plain);
                decoder.attach(&[Arc::clone(&vector)]).unwrap();
                decoder
            };
            let rows = [0.0, 0.5, 1.0];
            let steps = [[7, 8, 9], [4, 4, 4], [11, 2, 50]];
            let mut together = load();
            together.prefill(&IDS, Wanted::Last).unwrap();
            together.gather(&[0, 0, 0]).unwrap();
            together.set_strengths(&rows).unwrap();
            let outputs = steps.map(|ids| together.step(&ids).unwrap());
            // Another number of rows is refused, and one strength for all always serves.
            together.gather(&[0, 1]).unwrap();
            assert!(together.step(&[1, 2]).unwrap_err().to_string().contains("3 rows"));
            together.set_strengths(&[1.0]).unwrap();
            together.step(&[1, 2]).unwrap();
            for (row, strength) in rows.into_iter().enumerate() {
                let mut alone = load();
                alone.prefill(&IDS, Wanted::Last).unwrap();
                alone.set_strengths(&[strength]).unwrap();
                for (ids, output) in steps.iter().zip(&outputs) {
                    let single = alone.step(&[ids[row]]).unwrap();
                    let most = farthest(&single.logits, output.logits_of(row));
                    assert!(most < 1e-4, "{family} row {row}, plain {plain}: {most:e}");
                }
            }
        }
    }
}

/// Invariant 15: a GGUF file's rows are permuted and its norms shifted; a vector fits all the same.
#[test]
fn a_gguf_twin_is_steered_alike() {
    for family in ["llama-tied", "llama-rope-llama3", "qwen3", "phi3-longrope", "gemma2", "gpt2"] {
        let (base, twin) =
            (open(&format!("families/{family}")), open(&format!("gguf/{family}.gguf")));
        for kind in [Kind::Factors, Kind::Full] {
            let vector = vector(&base, kind, 6, 0.02);
            let mut decoder = load(&base, WeightForm::F32);
            decoder.attach(&[Arc::new(vector.clone().fit(&base).unwrap())]).unwrap();
            let mut other = load(&twin, WeightForm::F32);
            other.attach(&[Arc::new(vector.fit(&twin).unwrap())]).unwrap();
            for strength in [1.0, -0.7] {
                let (wanted, got) = (at(&mut decoder, &[strength]), at(&mut other, &[strength]));
                let most = farthest(&wanted, &got);
                assert!(most < 1e-4, "{family} {kind:?} at {strength}: {most:e}");
            }
        }
    }
    let mut decoder = load(&open("gguf/wide-Q4_0.gguf"), WeightForm::Stored);
    let plain = logits_of(&mut decoder, &[1, 2, 3]);
    let exact = open("gguf/wide");
    decoder.attach(&[Arc::new(vector(&exact, Kind::Factors, 7, 0.02))]).unwrap();
    decoder.set_strengths(&[1.0]).unwrap();
    assert!(farthest(&logits_of(&mut decoder, &[1, 2, 3]), &plain) > 1e-3);
    decoder.set_strengths(&[0.0]).unwrap();
    assert_eq!(logits_of(&mut decoder, &[1, 2, 3]), plain);
}

fn logits_of(decoder: &mut dyn Runner, ids: &[u32]) -> Vec<f32> {
    decoder.truncate(0).unwrap();
    decoder.prefill(ids, Wanted::All).unwrap().logits
}

/// Invariant 13: a tied head moves with its embedding, and a head's own part goes first.
#[test]
fn a_tied_embedding_moves_at_both_ends() {
    let base = open("families/gemma2");
    let whole = vector(&base, Kind::Factors, 8, 0.05);
    let name = "model.embed_tokens.weight";
    let only = Vector { parts: [(name.to_owned(), whole.parts[name].clone())].into(), ..whole };
    let (_folder, aligned) = merged(&base, &[(&only, 1.0)]);
    let mut decoder = load(&base, WeightForm::F32);
    decoder.attach(&[Arc::new(only.clone())]).unwrap();
    let wanted = logits(&mut load(&aligned, WeightForm::F32));
    assert!(farthest(&at(&mut decoder, &[1.0]), &wanted) < 1e-4);
    let mut apart = only;
    let Part::LowRank { up, .. } = apart.parts[name].clone() else { unreachable!() };
    let mut still = apart.parts[name].clone();
    if let Part::LowRank { up: none, .. } = &mut still {
        *none = vec![0.0; up.len()];
    }
    apart.parts.insert("lm_head.weight".into(), still);
    decoder.attach(&[Arc::new(apart)]).unwrap();
    assert!(farthest(&at(&mut decoder, &[1.0]), &wanted) > 1e-3);
}

/// Invariant 8: in weights and in logits the ends are the same models and the middle is not.
#[test]
fn the_logit_mixture_meets_the_vector_at_both_ends_only() {
    let (_folder, base) = merged(&open("families/qwen3"), &[]);
    let vector = vector(&base, Kind::Factors, 10, 0.05);
    let (_aligned_folder, aligned) = merged(&base, &[(&vector, 1.0)]);
    let mut steered = load(&base, WeightForm::F32);
    steered.attach(&[Arc::new(vector)]).unwrap();
    let aligned = Box::new(load(&aligned, WeightForm::F32));
    let mut rule = Mixture::new(aligned, steered.vocab_size(), 0.0).unwrap();
    let mut apart = [0f32; 3];
    for length in 2..IDS.len() {
        let ids = &IDS[..length];
        for (strength, apart) in [0.0, 0.5, 1.0].into_iter().zip(&mut apart) {
            let mut last = |strength| {
                steered.set_strengths(&[strength]).unwrap();
                steered.truncate(0).unwrap();
                steered.prefill(ids, Wanted::Last).unwrap()
            };
            let (beside, base) = (last(strength), last(0.0));
            let mut mixed = base.logits.clone();
            rule.set_strength(strength).unwrap();
            let position = Position { ids, reply_start: 1, hidden: &base.hidden };
            rule.apply(&mut mixed, position).unwrap();
            *apart = apart.max(farthest(&softmax(&beside.logits), &softmax(&mixed)));
        }
    }
    println!("{apart:?}");
    assert!(apart[0] == 0.0 && apart[2] < 1e-4 && apart[1] > 1e-3, "{apart:?}");
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    logits.iter().map(|logit| (logit - most).exp() / sum).collect()
}

/// Invariant 19.
#[test]
fn nothing_overflows_within_twice_the_strength() {
    for (family, form) in [
        ("llama", WeightForm::F16),
        ("qwen2", WeightForm::BF16),
        ("gemma3", WeightForm::F16),
        ("phi3", WeightForm::Q8_0),
        ("gpt2", WeightForm::F16),
    ] {
        let base = open(&format!("families/{family}"));
        let mut decoder = load(&base, form);
        decoder.attach(&[Arc::new(vector(&base, Kind::Factors, 9, 0.3))]).unwrap();
        for strength in [-2.0, -1.0, 0.5, 2.0] {
            let logits = at(&mut decoder, &[strength]);
            assert!(logits.iter().all(|logit| logit.is_finite()), "{family} at {strength}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_vector_and_tensor_and_changes_nothing() {
    let base = open("families/llama");
    let good = Arc::new(vector(&base, Kind::Factors, 1, 0.02));
    let mut decoder = load(&base, WeightForm::F32);
    decoder.attach(&[Arc::clone(&good)]).unwrap();
    let steered = at(&mut decoder, &[1.0]);
    let refused = |decoder: &mut dyn Runner, name: &str, part: Part| {
        let wrong = Vector {
            name: "wrong".into(),
            parts: [(name.to_owned(), part)].into(),
            ..Vector::default()
        };
        let error = decoder.attach(&[Arc::clone(&good), Arc::new(wrong)]).unwrap_err();
        let line = format!("{error:#}");
        assert!(line.contains("wrong") && line.contains(name), "{line}");
        line
    };
    let values = |count: usize| vec![0.5; count];
    let full = |shape: &[usize]| Part::Full {
        shape: shape.to_vec(),
        values: values(shape.iter().product()),
    };
    let projection = "model.layers.0.self_attn.q_proj.weight";
    assert!(refused(&mut decoder, projection, full(&[48, 47])).contains("[48, 47]"));
    refused(&mut decoder, projection, full(&[48]));
    refused(&mut decoder, "model.layers.9.self_attn.q_proj.weight", full(&[48, 48]));
    refused(&mut decoder, "model.norm.weight", full(&[47]));
    refused(&mut decoder, "model.embed_tokens.weight", full(&[97, 48]));
    refused(&mut decoder, "model.norm.weight", Part::Full { shape: vec![48], values: values(47) });
    let mut nan = values(48);
    nan[7] = f32::NAN;
    refused(&mut decoder, "model.norm.weight", Part::Full { shape: vec![48], values: nan });
    let saved = Part::Replacement { shape: vec![48], values: values(48) };
    assert!(refused(&mut decoder, "model.norm.weight", saved).contains("fit"));
    let low_rank = |down: usize| Part::LowRank {
        down: values(down),
        up: values(96),
        rank: 2,
        inputs: 48,
        outputs: 48,
        scale: 1.0,
    };
    refused(&mut decoder, projection, low_rank(95));
    for wrong in [&[][..], &[1.0, 2.0, 3.0][..0], &[f32::NAN][..]] {
        assert!(decoder.set_strengths(wrong).is_err());
    }
    assert_eq!(logits(&mut decoder), steered);
    decoder.attach(&[]).unwrap();
    assert!(decoder.set_strengths(&[1.0]).is_err());
}

/// A slider moves gains and small tensors, in buffers that are there already.
#[test]
fn a_change_of_strengths_allocates_nothing() {
    let base = open("families/qwen3");
    let mut decoder = load(&base, WeightForm::F32);
    decoder.attach(&[1, 2].map(|seed| Arc::new(vector(&base, Kind::Factors, seed, 0.02)))).unwrap();
    decoder.set_strengths(&[0.3, -0.2]).unwrap();
    let (_, most) = super::allocations::most_held(|| {
        for strength in [0.5, 0.0, 1.0, -1.0] {
            decoder.set_strengths(&[strength, 0.25]).unwrap();
        }
    });
    assert_eq!(most, 0);
}
