//! Whole runs on a micro model: gradients against finite differences, learning, taking up again,
//! and the file that comes out.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use tokenizers::Tokenizer;

use super::data::{Aim, Lesson};
use super::encoding::Encoded;
use super::learner::Learner;
use super::*;
use crate::learn::base::corpus::Document;
use crate::learn::base::export::{self as base_export, Precision};
use crate::learn::base::gradients::Workers;
use crate::learn::base::{BaseArgs, vocabulary};
use crate::learn::network::{Adapters, Network, NetworkShape};
use crate::learn::random;
use crate::model::checkpoint::Checkpoint;
use crate::model::vector::{Kind, Part, file};
use crate::platform::Cancelled;

fn shape(vocab_size: usize) -> NetworkShape {
    let args = BaseArgs {
        hidden: 16,
        layers: 2,
        heads: 4,
        key_heads: Some(2),
        ffn: 24,
        context: 64,
        ..BaseArgs::new(Vec::new(), PathBuf::new())
    };
    args.shape(vocab_size)
}

/// Larger weights than a fresh network's, so that every layer matters.
fn network(vocab_size: usize) -> Network {
    Network::with(shape(vocab_size), &Device::Cpu, |index, name, count| {
        let deviation = if name.ends_with("norm") { 0.1 } else { 0.3 };
        let mean = if name.ends_with("norm") { 1.0 } else { 0.0 };
        let value = |i: u64| mean + deviation * random::normal(5, index, i);
        Ok((0..count as u64).map(value).collect())
    })
    .unwrap()
}

/// Factors that add something, unlike fresh ones.
fn adapted(vocab_size: usize) -> Network {
    let mut network = network(vocab_size);
    let adapters = Adapters::with(&shape(vocab_size), 3, 6.0, &Device::Cpu, |index, _, dims| {
        let count = dims.iter().product::<usize>() as u64;
        Ok((0..count).map(|i| 0.2 * random::normal(9, index, i)).collect())
    });
    network.adapt(adapters.unwrap());
    network
}

fn some_pairs() -> Vec<Lesson> {
    (0..3_u32)
        .map(|n| {
            let prompt = (0..3 + n).map(|i| (5 * i + n) % 20).collect();
            let answers = vec![
                (0..4 + n).map(|i| (3 * i + 2 * n) % 20).collect(),
                (0..6 - n).map(|i| (7 * i + n + 1) % 20).collect(),
            ];
            let aim = if n == 2 { Aim::Keep } else { Aim::Prefer };
            let strength = [1.0, -0.5, 1.5][n as usize];
            Lesson { pair: Encoded { prompt, answers }, strength, aim }
        })
        .collect()
}

fn arguments(objective: Objective) -> VectorArgs {
    let nowhere = PathBuf::new();
    VectorArgs { objective, b: 0.3, ..VectorArgs::new(nowhere.clone(), Vec::new(), nowhere) }
}

#[test]
fn gradients_are_the_derivatives_of_every_loss_for_factors_and_for_all_weights() {
    let pairs = some_pairs();
    let ids: Vec<&Encoded> = pairs.iter().map(|lesson| &lesson.pair).collect();
    let workers = Workers::new(1).unwrap();
    for (objective, nll_weight) in [
        (Objective::Dpo, 0.0),
        (Objective::Ipo, 0.0),
        (Objective::Dpo, 1.5),
        (Objective::Likelihood, 0.0),
    ] {
        for network in [network(20), adapted(20)] {
            // Margins of different signs and moderate size.
            let mut reference =
                reference::log_probabilities(&network, &workers, &ids, |_| Ok(())).unwrap();
            for (value, shift) in reference.iter_mut().zip([0.5, -0.25, 0.0, 1.0, -1.5, 0.75]) {
                *value += shift;
            }
            let pairs: Vec<&Lesson> = pairs.iter().collect();
            let args = VectorArgs { nll_weight, ..arguments(objective) };
            let learner = Learner { args: &args, network: &network, workers: &workers };
            let loss = || learner.compute(&pairs, &reference, false).unwrap().0.loss;
            let (standing, grads) = learner.compute(&pairs, &reference, true).unwrap();
            assert!((standing.loss - loss()).abs() < 1e-6 * standing.loss);
            for (name, var) in network.trained() {
                let grad = grads[0].get(var).unwrap_or_else(|| panic!("{name}"));
                let grad = grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                // The element with the largest slope, and two others.
                let steepest =
                    (0..grad.len()).max_by(|a, b| grad[*a].abs().total_cmp(&grad[*b].abs()));
                for element in [steepest.unwrap(), 0, grad.len() / 2] {
                    let at = |shift: f32| {
                        let mut moved = values.clone();
                        moved[element] += shift;
                        var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap())
                            .unwrap();
                        loss()
                    };
                    let slope = (at(8e-3) - at(-8e-3)) / 16e-3;
                    at(0.0);
                    let got = f64::from(grad[element]);
                    assert!(
                        (got - slope).abs() < 2e-2 * slope.abs().max(0.5),
                        "{objective:?} {name} [{element}]: {got} against the slope {slope}"
                    );
                }
            }
        }
    }
}

#[test]
fn workers_apart_compute_what_one_does() {
    let pairs = some_pairs();
    let pairs: Vec<&Lesson> = pairs.iter().collect();
    let reference = [-12.0, -14.5, -15.0, -9.0, -20.0, -17.5];
    let (network, args) = (adapted(20), arguments(Objective::Dpo));
    let results: Vec<(Standing, Vec<f32>)> = [1, 2]
        .into_iter()
        .map(|count| {
            let workers = Workers::new(count).unwrap();
            let learner = Learner { args: &args, network: &network, workers: &workers };
            let (standing, grads) = learner.compute(&pairs, &reference, true).unwrap();
            assert_eq!(grads.len(), count);
            let mut values = Vec::new();
            for (_, var) in network.trained() {
                let parts = grads.iter().map(|g| g.get(var).unwrap().clone());
                let sum = parts.reduce(|a, b| (a + b).unwrap()).unwrap();
                values.extend(sum.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            }
            (standing, values)
        })
        .collect();
    assert!((results[0].0.loss - results[1].0.loss).abs() < 1e-6);
    for (together, apart) in results[0].1.iter().zip(&results[1].1) {
        let bound = 1e-5 * together.abs().max(1.0);
        assert!((together - apart).abs() < bound, "{together} against {apart}");
    }
}

/// A base folder and a file of pairs, all of which prefer a fox to a cat.
fn stage(folder: &Path) -> VectorArgs {
    let document = Document { text: "the old fox and the cat sleep by the tree".repeat(4) };
    let tokenizer: Tokenizer = vocabulary::train(&[document.clone(), document], 300).unwrap();
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    let network = network(tokenizer.get_vocab_size(true));
    base_export::write(&base, &network, &tokenizer, Precision::F32).unwrap();
    let asks = ["who sleeps", "who is by the tree", "the old one", "and who", "cat or fox"];
    let mut lines = String::new();
    for ask in asks.iter().cycle().take(40) {
        let pair = serde_json::json!({ "prompt": ask, "chosen": "the fox", "rejected": "the cat" });
        lines += &format!("{pair}\n");
    }
    lines += "not a pair\n";
    let pairs = folder.join("pairs.jsonl");
    std::fs::write(&pairs, lines).unwrap();
    VectorArgs {
        rank: 4,
        batch: 8,
        epochs: 2,
        learning_rate: Some(2e-2),
        domain: Some("animals".to_owned()),
        ..VectorArgs::new(base, vec![pairs], folder.join("fox.safetensors"))
    }
}

#[test]
fn a_vector_is_learnt_whose_file_holds_what_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    for full in [false, true] {
        let mut args = stage(folder.path());
        args.full = full;
        if full {
            args.learning_rate = Some(2e-3);
        }
        let mut said = Vec::new();
        let outcome = run(&args, || false, |line| said.push(line.to_owned())).unwrap();
        assert_eq!((outcome.pairs, outcome.held_out, outcome.steps), (38, 2, 10));
        assert!(outcome.after.accuracy == 1.0 && outcome.after.margin > 1.0, "{outcome:?}");
        assert!(outcome.after.loss < outcome.before.loss);
        assert!(said.iter().any(|line| line.contains("line 41")), "{said:?}");
        assert!(!state::path_of(&args.out).exists(), "a finished run leaves no state");
        let (vector, facts) = file::read(&args.out).unwrap();
        assert_eq!((vector.name.as_str(), facts.domain.as_str()), ("fox", "animals"));
        assert_eq!(facts.kind, if full { Kind::Full } else { Kind::Lora });
        let checkpoint = Checkpoint::open(&args.base).unwrap();
        assert_eq!(vector.base_fingerprint, Some(checkpoint.fingerprint()));
        assert_eq!(vector.parts.len(), if full { 2 * 9 + 2 } else { 2 * 7 });
        let value = &vector.parts["model.layers.1.self_attn.v_proj.weight"];
        assert_eq!(value.shape(), [8, 16]);
        assert_eq!(matches!(value, Part::LowRank { rank: 4, .. }), !full);
    }
}

#[test]
fn fine_tuning_learns_the_chosen_answers_and_parts_from_the_rejected_at_their_first_words() {
    let folder = tempfile::tempdir().unwrap();
    let args = VectorArgs { objective: Objective::Likelihood, ..stage(folder.path()) };
    let outcome = run(&args, || false, |_| {}).unwrap();
    assert!(outcome.after.margin > 5.0 && outcome.after.likelier == 1.0, "{outcome:?}");
    let longer =
        VectorArgs { epochs: 6, out: folder.path().join("longer.safetensors"), ..args.clone() };
    let longer = run(&longer, || false, |_| {}).unwrap().after;
    assert!(longer.loss < 0.7 * outcome.after.loss, "nats a token: {longer:?} after {outcome:?}");
    let (_, facts) = file::read(&args.out).unwrap();
    let said = "likelihood of the chosen answers, LoRA";
    assert!(facts.how_made.starts_with(said), "{}", facts.how_made);
}

#[test]
fn a_run_taken_up_again_is_the_same_run_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let straight = stage(folder.path());
    run(&straight, || false, |_| {}).unwrap();
    let out = folder.path().join("broken.safetensors");
    let mut broken = VectorArgs { out, name: Some("fox".to_owned()), ..straight.clone() };
    for stop_after in [6, 4] {
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() == stop_after
        };
        let error = run(&broken, stop, |_| {}).unwrap_err();
        assert!(error.is::<Cancelled>(), "{error:#}");
        let again = run(&VectorArgs { resume: false, ..broken.clone() }, || false, |_| {});
        assert!(again.unwrap_err().to_string().contains("--resume"));
        broken.resume = true;
    }
    for (what, other) in [
        ("the seed", VectorArgs { seed: 2, ..broken.clone() }),
        ("what is trained", VectorArgs { rank: 2, ..broken.clone() }),
        ("the objective", VectorArgs { objective: Objective::Ipo, ..broken.clone() }),
        ("the weight of likelihood", VectorArgs { nll_weight: 1.0, ..broken.clone() }),
    ] {
        let error = run(&other, || false, |_| {}).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(".training"), "{error}");
    }
    run(&broken, || false, |_| {}).unwrap();
    let parts = |args: &VectorArgs| file::read(&args.out).unwrap().0.parts;
    assert!(parts(&straight) == parts(&broken), "the factors differ");
}

#[test]
fn a_broken_state_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() == 6
    };
    run(&args, stop, |_| {}).unwrap_err();
    args.resume = true;
    let state = state::path_of(&args.out);
    let whole = std::fs::read(&state).unwrap();
    for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&state, &whole[..cut]).unwrap();
        let error = run(&args, || false, |_| {}).unwrap_err();
        assert!(error.to_string().contains("fox.safetensors.training"), "{error:#}");
    }
}

#[test]
fn long_prompts_lose_their_beginning_and_long_answers_leave() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    let long = "the old fox and the cat ".repeat(40);
    let mut lines = std::fs::read_to_string(&args.pairs[0]).unwrap();
    for (prompt, chosen) in [(long.as_str(), "the fox"), ("who", long.as_str())] {
        let pair = serde_json::json!({ "prompt": prompt, "chosen": chosen, "rejected": "the cat" });
        lines += &format!("{pair}\n");
    }
    std::fs::write(&args.pairs[0], lines).unwrap();
    args.held_out = args.pairs.clone();
    let mut said = Vec::new();
    let outcome = run(&args, || false, |line| said.push(line.to_owned())).unwrap();
    assert_eq!((outcome.pairs, outcome.held_out), (41, 41));
    assert!(said.iter().any(|line| line.starts_with("1 prompts lost")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("1 pairs left out")), "{said:?}");
}

#[test]
fn a_vector_learns_what_holds_at_other_strengths_and_what_is_to_stay() {
    let mut network = network(20);
    let shape = network.shape.clone();
    let adapters = Adapters::fresh(&shape, 4, 4.0, 2, &Device::Cpu).unwrap();
    network.adapt(adapters);
    let lesson = |ids: [u32; 3], strength, aim| {
        let pair = Encoded { prompt: vec![1, ids[0]], answers: vec![vec![ids[1]], vec![ids[2]]] };
        Lesson { pair, strength, aim }
    };
    // The same at 1 and at -1: no straight line does that. Another question stays as it is.
    let training: Vec<Lesson> = [
        lesson([2, 3, 4], 1.0, Aim::Prefer),
        lesson([2, 3, 4], -1.0, Aim::Prefer),
        lesson([5, 6, 7], 1.0, Aim::Keep),
        lesson([5, 6, 7], -1.0, Aim::Keep),
    ]
    .to_vec();
    let all: Vec<&Encoded> = training.iter().map(|lesson| &lesson.pair).collect();
    let workers = Workers::new(1).unwrap();
    let reference = reference::log_probabilities(&network, &workers, &all, |_| Ok(())).unwrap();
    let args = VectorArgs {
        batch: 4,
        epochs: 150,
        learning_rate: Some(1e-2),
        b: 1.0,
        ..arguments(Objective::Dpo)
    };
    let learner = Learner { args: &args, network: &network, workers: &workers };
    let data = data::Data { training: training.clone(), held_out: Vec::new() };
    let mut optimizer = crate::learn::base::optimizer::AdamW::fresh(&network).unwrap();
    let recipe = state::Recipe {
        base_fingerprint: String::new(),
        pairs_fingerprint: data.fingerprint(),
        objective: Objective::Dpo,
        b: 1.0,
        nll_weight: 0.0,
        full: false,
        rank: 4,
        alpha: 4.0,
        learning_rate: 1e-2,
        epochs: 150,
        batch: 4,
        seed: 1,
    };
    let mut position = state::Position { recipe, steps: 0, seconds: 0.0 };
    let go_on = |_: &Learner<'_>, _: learner::Step<'_>| Ok(true);
    assert!(learner.train(&data, &reference, &mut optimizer, &mut position, go_on).unwrap());
    for (at, lesson) in training.iter().enumerate() {
        let known = &reference[2 * at..2 * at + 2];
        let standing = learner.standing(std::slice::from_ref(lesson), known).unwrap();
        match lesson.aim {
            Aim::Prefer => assert!(standing.margin > 1.0, "{standing:?} at {}", lesson.strength),
            Aim::Keep => assert!(standing.drift < 0.5, "{standing:?} at {}", lesson.strength),
        }
    }
}
