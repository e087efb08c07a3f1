//! The trained forward pass against the run-time one and its gradients against finite differences,
//! on every family; then whole runs on a micro model.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::arguments::{Begin, Begins, Place, Schedule, StreamArgs};
use super::learner::{Learner, Rewarder};
use super::stream::Stream;
use super::texts::{Lesson, Lessons, Text};
use super::{RewardArgs, run, state};
use crate::learn::base::corpus::Document;
use crate::learn::base::export::{self as base_export, Precision as BasePrecision};
use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::Trained;
use crate::learn::base::{BaseArgs, vocabulary};
use crate::learn::network::Network;
use crate::learn::random;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::{Decoder, DecoderSpec};
use crate::model::reward::{Initialisation, Precision, file};
use crate::model::scorer::Scorer;
use crate::model::weights::WeightForm;
use crate::model::{LoadOptions, ModelFacts, Runner, Wanted};
use crate::platform::Cancelled;

fn golden(family: &str) -> Checkpoint {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Checkpoint::open(&root.join("tests/golden/families").join(family)).unwrap()
}

fn golden_gguf(name: &str) -> Checkpoint {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Checkpoint::open(&root.join("tests/golden/gguf").join(name)).unwrap()
}

fn decoder(checkpoint: &Checkpoint, form: WeightForm) -> Decoder {
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    Decoder::load(checkpoint, spec, &Device::Cpu, form, 64, &mut |_, _| true).unwrap()
}

/// Three texts of a vocabulary of at least 40 ids.
fn texts() -> Vec<Text> {
    let text = |length: u32, salt: u32, answer: usize| Text {
        ids: (0..length).map(|i| (7 * i + 3 * salt + i * i * salt) % 40).collect(),
        answer,
    };
    vec![text(14, 1, 5), text(11, 2, 5), text(9, 3, 4)]
}

/// A stream whose weights are not those it began with, so that every one of them matters.
fn stream(checkpoint: &Checkpoint, args: &StreamArgs, form: WeightForm) -> Stream {
    let base = decoder(checkpoint, form);
    let model = ModelFacts::default();
    let texts = Arc::new(texts());
    let stream = Stream::begin(args, 3, base, checkpoint, &model, texts, &Device::Cpu).unwrap();
    for (number, (name, var)) in stream.trained().into_iter().enumerate() {
        let spread = if name.starts_with("head") { 0.5 } else { 0.1 };
        let noise: Vec<f32> = (0..var.elem_count() as u64)
            .map(|at| spread * random::normal(17, number as u64, at))
            .collect();
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap().detach()).unwrap();
    }
    stream
}

const FAMILIES: [&str; 8] =
    ["llama", "llama-rope-yarn", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gpt2"];

fn insertions() -> Vec<StreamArgs> {
    let part = |insertion| StreamArgs { insertion, one_in: 4, ..StreamArgs::default() };
    vec![
        part(Place::Both),
        part(Place::Attention),
        part(Place::Mlp),
        StreamArgs { last_half: true, reads_original: true, ..part(Place::Both) },
        StreamArgs { start: Some(Begins::Zeros), ..part(Place::Both) },
    ]
}

#[test]
fn the_trained_pass_is_the_one_at_run_time_in_every_family() {
    let plain = FAMILIES.map(|family| (golden(family), WeightForm::F32, insertions()));
    // Bases in blocks: what the stream reads is theirs, not that of the weights they came from.
    let blocks = [
        (golden("llama"), WeightForm::Q8_0),
        (golden_gguf("wide-Q8_0.gguf"), WeightForm::Stored),
        (golden_gguf("wide-Q4_0.gguf"), WeightForm::Stored),
    ];
    let one = || vec![StreamArgs { one_in: 4, ..StreamArgs::default() }];
    let blocks = blocks.into_iter().map(|(checkpoint, form)| (checkpoint, form, one()));
    for (checkpoint, form, all) in plain.into_iter().chain(blocks) {
        let family = checkpoint.name.clone();
        for args in all {
            let stream = stream(&checkpoint, &args, form);
            let adapter = stream.inserted.adapter(Precision::F32).unwrap();
            let mut beside = decoder(&checkpoint, form);
            beside.insert(Some(&adapter)).unwrap();
            let numbers = [0, 1, 2];
            stream.ready(&numbers).unwrap();
            let texts = texts();
            let reads: Vec<(usize, usize)> = (0..3)
                .flat_map(|text| (0..texts[text].ids.len()).map(move |position| (text, position)))
                .collect();
            let trained = stream.rewards(&numbers, &reads).unwrap().to_vec1::<f32>().unwrap();
            let mut live = Vec::new();
            for text in &texts {
                beside.truncate(0).unwrap();
                live.extend(beside.prefill(&text.ids, Wanted::All).unwrap().reward);
            }
            assert_eq!(trained.len(), live.len());
            let spread = live.iter().map(|reward| reward.abs()).fold(1.0, f32::max);
            for (at, (trained, live)) in trained.iter().zip(&live).enumerate() {
                let off = (trained - live).abs();
                assert!(off < 1e-5 * spread, "{family} {args:?} at {at}: {trained} and {live}");
            }
        }
    }
}

fn lessons() -> Lessons {
    Lessons {
        texts: texts(),
        training: vec![Lesson::Pair([0, 1]), Lesson::Pair([2, 1]), Lesson::Rating(2, 0.7)],
        ..Lessons::default()
    }
}

/// Every variable's steepest derivative, and two others, against central differences.
fn check_gradients<M: Rewarder>(model: &M, what: &str) {
    let (lessons, workers) = (lessons(), Workers::new(1).unwrap());
    let schedule = Schedule { prefixes: 2, ..Schedule::default() };
    let learner = Learner { schedule: &schedule, lessons: &lessons, model, workers: &workers };
    let loss = || learner.compute(&lessons.training, 2, false).unwrap().0.loss();
    let (standing, grads) = learner.compute(&lessons.training, 2, true).unwrap();
    assert!((standing.loss() - loss()).abs() < 1e-6);
    for (name, var) in model.trained() {
        let grad = grads[0].get(var).unwrap_or_else(|| panic!("{what} {name}"));
        let grad = grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let steepest = (0..grad.len()).max_by(|a, b| grad[*a].abs().total_cmp(&grad[*b].abs()));
        for element in [steepest.unwrap(), 0, grad.len() / 2] {
            let at = |shift: f32| {
                let mut moved = values.clone();
                moved[element] += shift;
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                loss()
            };
            let slope = (at(4e-3) - at(-4e-3)) / 8e-3;
            at(0.0);
            let got = f64::from(grad[element]);
            assert!(
                (got - slope).abs() < 2e-2 * slope.abs().max(0.05),
                "{what} {name} [{element}]: {got} against the slope {slope}"
            );
        }
    }
}

#[test]
fn gradients_are_the_derivatives_in_every_family() {
    for family in FAMILIES {
        let checkpoint = golden(family);
        let args = StreamArgs { one_in: 4, reads_original: true, ..StreamArgs::default() };
        check_gradients(&stream(&checkpoint, &args, WeightForm::F32), family);
    }
    let judge = super::separate::Judge::begin(&golden("llama"), Arc::new(texts()), 1, &Device::Cpu);
    check_gradients(&judge.unwrap(), "a model of its own");
}

#[test]
fn batches_in_parts_have_the_gradients_of_the_whole() {
    let stream = stream(&golden("llama"), &StreamArgs::default(), WeightForm::F32);
    let lessons = lessons();
    let sums: Vec<Vec<f32>> = [1, 2]
        .into_iter()
        .map(|count| {
            let (schedule, workers) = (Schedule::default(), Workers::new(count).unwrap());
            let learner = Learner {
                schedule: &schedule,
                lessons: &lessons,
                model: &stream,
                workers: &workers,
            };
            let (_, grads) = learner.compute(&lessons.training, 0, true).unwrap();
            assert_eq!(grads.len(), count);
            let mut all = Vec::new();
            for (_, var) in stream.trained() {
                let parts = grads.iter().map(|g| g.get(var).unwrap().clone());
                let sum = parts.reduce(|a, b| (a + b).unwrap()).unwrap();
                all.extend(sum.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            }
            all
        })
        .collect();
    for (whole, parts) in sums[0].iter().zip(&sums[1]) {
        assert!((whole - parts).abs() < 1e-5 * whole.abs().max(1.0), "{whole} against {parts}");
    }
}

/// A base folder of hidden size 32 and a file of pairs, all of which prefer a fox to a cat.
fn stage(folder: &Path) -> RewardArgs {
    let document = Document { text: "the old fox and the cat sleep by the tree".repeat(4) };
    let tokenizer = vocabulary::train(&[document.clone(), document], 300).unwrap();
    let sizes = BaseArgs {
        hidden: 32,
        layers: 2,
        heads: 4,
        key_heads: Some(2),
        ffn: 48,
        context: 64,
        ..BaseArgs::new(Vec::new(), PathBuf::new())
    };
    let shape = sizes.shape(tokenizer.get_vocab_size(true));
    let network = Network::with(shape, &Device::Cpu, |index, name, count| {
        let (mean, deviation) = if name.ends_with("norm") { (1.0, 0.1) } else { (0.0, 0.3) };
        let value = |i: u64| mean + deviation * random::normal(5, index, i);
        Ok((0..count as u64).map(value).collect())
    });
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    base_export::write(&base, &network.unwrap(), &tokenizer, BasePrecision::F32).unwrap();
    let asks = ["who sleeps", "who is by the tree", "the old one", "and who", "cat or fox"];
    let mut lines = String::new();
    for (number, ask) in asks.iter().cycle().take(40).enumerate() {
        let place = ["by the tree", "and sleep", "the old"][number % 3];
        let pair = serde_json::json!({ "prompt": ask, "chosen": format!("the fox {place}"),
            "rejected": format!("the cat {place}") });
        lines += &format!("{pair}\n");
    }
    lines += "not a pair\n";
    let pairs = folder.join("pairs.jsonl");
    std::fs::write(&pairs, lines).unwrap();
    let schedule = Schedule { batch: 8, epochs: 3, learning_rate: 1e-2, ..Schedule::default() };
    RewardArgs { schedule, ..RewardArgs::new(base, vec![pairs], folder.join("fox.safetensors")) }
}

/// Runs until a line begins like this, and cancels there.
fn stopped_at(args: &RewardArgs, step: &str) {
    let reached = Cell::new(false);
    let tell = |line: &str| reached.set(reached.get() || line.starts_with(step));
    let error = run(args, || reached.get(), tell).unwrap_err();
    assert!(error.is::<Cancelled>(), "{error:#}");
    assert!(reached.get() && state::path_of(&args.out).exists());
}

#[test]
fn an_adapter_is_learned_and_its_file_holds_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let bytes = |args: &RewardArgs| std::fs::read(args.base.join("model.safetensors")).unwrap();
    let untouched = bytes(&stage);
    for (number, (initialisation, insertion)) in
        [(Begin::Mirror, Place::Both), (Begin::Random, Place::Attention), (Begin::Zero, Place::Mlp)]
            .into_iter()
            .enumerate()
    {
        let out = folder.path().join(format!("fox{number}.safetensors"));
        let stream = StreamArgs { initialisation, insertion, one_in: 2, ..StreamArgs::default() };
        let args = RewardArgs { stream, out, ..stage.clone() };
        let mut said = Vec::new();
        let outcome = run(&args, || false, |line| said.push(line.to_owned())).unwrap();
        assert_eq!(outcome.after.accuracy(), Some(1.0), "{initialisation:?} {said:?}");
        assert!(outcome.after.loss() < outcome.before.loss(), "{outcome:?}");
        assert!(said.iter().any(|line| line.contains("line 41")), "{said:?}");
        assert!(!state::path_of(&args.out).exists(), "a finished run leaves no state");
        let adapter = file::read(&args.out).unwrap();
        let facts = &adapter.facts;
        assert_eq!(facts.name, format!("fox{number}"));
        let training = facts.training.as_ref().unwrap();
        assert_eq!((training.examples, training.held_out), (38, 2));
        assert_eq!(training.pair_accuracy, Some(1.0));
        assert_eq!(facts.initialisation, args.stream.initialisation());
        assert!(facts.deviation.is_some_and(|unit| unit.value > 0.0), "{said:?}");
        // What the run-time stream makes of it, on the model as a person loads it.
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let mut model = crate::model::load::load(&args.base, &options, &mut |_, _| true).unwrap();
        facts.check_model(&model.facts).unwrap();
        model.runner.insert(Some(&adapter)).unwrap();
        let mut reward = |answer: &str| {
            let encoded = crate::learn::preference::encoding::encode(
                &model.language,
                "who sleeps",
                &[answer],
            );
            let encoded = encoded.unwrap();
            let ids: Vec<u32> =
                encoded.prompt.into_iter().chain(encoded.answers[0].clone()).collect();
            model.runner.truncate(0).unwrap();
            model.runner.prefill(&ids, Wanted::Last).unwrap().reward[0]
        };
        assert!(reward("the fox by the tree") > reward("the cat by the tree"));
    }
    assert!(bytes(&stage) == untouched, "the base was written");
}

#[test]
fn a_cache_and_workers_change_nothing_that_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let plain = stage(folder.path());
    let kept = folder.path().join("kept");
    let out = folder.path().join("cached.safetensors");
    let cached = RewardArgs { cache: Some(kept.clone()), out, ..plain.clone() };
    run(&plain, || false, |_| {}).unwrap();
    run(&cached, || false, |_| {}).unwrap();
    let tensors = |args: &RewardArgs| file::read(&args.out).unwrap().tensors;
    assert!(tensors(&plain) == tensors(&cached), "the cache changed what was learned");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 0, "the cache is gone");
}

#[test]
fn a_run_taken_up_again_is_the_same_run_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut straight = stage(folder.path());
    straight.schedule.patience = 50;
    run(&straight, || false, |_| {}).unwrap();
    let out = folder.path().join("broken.safetensors");
    let mut broken = RewardArgs { out, ..straight.clone() };
    for step in ["step 6 ", "step 11 "] {
        stopped_at(&broken, step);
        let again = run(&RewardArgs { resume: false, ..broken.clone() }, || false, |_| {});
        assert!(again.unwrap_err().to_string().contains("--resume"));
        broken.resume = true;
    }
    let with = |change: &dyn Fn(&mut RewardArgs)| {
        let mut other = broken.clone();
        change(&mut other);
        run(&other, || false, |_| {}).unwrap_err().to_string()
    };
    let seed = with(&|args| args.schedule.seed = 2);
    assert!(seed.contains("the seed") || seed.contains("what is trained"), "{seed}");
    assert!(with(&|args| args.schedule.epochs = 1).contains("the length"));
    assert!(with(&|args| args.stream.insertion = Place::Mlp).contains("what is trained"));
    run(&broken, || false, |_| {}).unwrap();
    let tensors = |args: &RewardArgs| file::read(&args.out).unwrap().tensors;
    assert!(tensors(&straight) == tensors(&broken), "the adapters differ");
}

#[test]
fn a_broken_state_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    stopped_at(&args, "step 3 ");
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
fn a_run_that_gets_no_better_stops_and_keeps_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    // Held out is the opposite of what is trained on: every step makes it worse.
    let held_out = folder.path().join("opposite.jsonl");
    let turned = std::fs::read_to_string(&args.pairs[0]).unwrap();
    let turned =
        turned.replace("the fox", "X").replace("the cat", "the fox").replace('X', "the cat");
    std::fs::write(&held_out, turned).unwrap();
    args.held_out = vec![held_out];
    args.schedule = Schedule { patience: 2, epochs: 20, ..args.schedule };
    let mut said = Vec::new();
    let outcome = run(&args, || false, |line| said.push(line.to_owned())).unwrap();
    assert!(outcome.stopped_early && outcome.steps < 20, "{outcome:?} {said:?}");
    assert!(said.iter().any(|line| line.contains("that is what is kept")), "{said:?}");
}

#[test]
fn ratings_are_learned_in_their_own_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    let line = |answer: &str, rating: f64| {
        let asks = ["who sleeps", "who is by the tree", "the old one"];
        let one = |ask: &&str| {
            let line = serde_json::json!({ "prompt": ask, "answer": answer, "rating": rating });
            format!("{line}\n")
        };
        asks.iter().map(one).collect::<String>()
    };
    let ratings = folder.path().join("ratings.jsonl");
    let lines = line("the fox", 9.0) + &line("the cat", 5.0) + &line("the tree", 7.0);
    std::fs::write(&ratings, lines.repeat(6)).unwrap();
    args.pairs.clear();
    args.ratings = vec![ratings];
    args.schedule.epochs = 12;
    let outcome = run(&args, || false, |_| {}).unwrap();
    assert!(outcome.after.explained().unwrap() > 0.9, "{outcome:?}");
    let adapter = file::read(&args.out).unwrap();
    assert_eq!(adapter.facts.training.as_ref().unwrap().objective, "ratings");
    let bias = &adapter.tensors["head.reward.bias"].values;
    assert!(bias[0] > 3.0, "rewards are around the mean of the ratings: {bias:?}");
}

#[test]
fn a_model_of_its_own_is_learned_and_loads_as_a_scorer() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    args.separate = true;
    args.out = folder.path().join("judge");
    args.schedule.learning_rate = 3e-3;
    let outcome = run(&args, || false, |_| {}).unwrap();
    assert_eq!(outcome.after.accuracy(), Some(1.0), "{outcome:?}");
    let config = std::fs::read_to_string(args.out.join("config.json")).unwrap();
    assert!(config.contains("LlamaForSequenceClassification"), "{config}");
    let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
    let mut scorer = Scorer::open(&args.out, &options, &mut |_, _| true).unwrap();
    let mut reward = |answer: &str| {
        let encoded =
            crate::learn::preference::encoding::encode(&scorer.language, "who sleeps", &[answer]);
        let encoded = encoded.unwrap();
        let ids: Vec<u32> = encoded.prompt.into_iter().chain(encoded.answers[0].clone()).collect();
        let whole = scorer.reward(&ids).unwrap();
        let along = scorer.rewards_along(&ids).unwrap();
        assert!((along[ids.len() - 1] - whole).abs() < 1e-5);
        whole
    };
    assert!(reward("the fox by the tree") > reward("the cat by the tree"));
    // A language model is none, and says what it lacks.
    let error = Scorer::open(&args.base, &options, &mut |_, _| true).err().unwrap();
    assert!(error.to_string().contains("no head that gives a score"), "{error:#}");
    let again = run(&args, || false, |_| {}).unwrap_err();
    assert!(again.to_string().contains("in this folder already"), "{again:#}");
}

#[test]
fn what_cannot_be_trained_with_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let args = stage(folder.path());
    let refused = |change: &dyn Fn(&mut RewardArgs)| {
        let mut other = args.clone();
        change(&mut other);
        run(&other, || false, |_| {}).unwrap_err().to_string()
    };
    assert!(refused(&|args| args.schedule.batch = 0).contains("--batch"));
    assert!(refused(&|args| args.stream.one_in = 0).contains("--one-in"));
    let dead = refused(&|args| {
        args.stream.initialisation = Begin::Zero;
        args.stream.start = Some(Begins::Zeros);
    });
    assert!(dead.contains("nothing would ever be learned"), "{dead}");
    assert_eq!(StreamArgs::default().initialisation(), Initialisation::Mirror);
}
