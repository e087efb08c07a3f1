//! The trained forward pass against the run-time one and its gradients against finite differences,
//! on every family.

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::learn::base::gradients::Workers;
use crate::learn::base::optimizer::{AdamW, Trained};
use crate::learn::random;
use crate::learn::reward::arguments::{Begins, Place, Schedule, StreamArgs};
use crate::learn::reward::learner::{Learner, Rewarder};
use crate::learn::reward::records::Records;
use crate::learn::reward::separate::Judge;
use crate::learn::reward::signals::Signal;
use crate::learn::reward::state;
use crate::learn::reward::stream::{Stream, layout};
use crate::learn::reward::texts::{Lesson, Lessons, Text};
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::{Decoder, DecoderSpec};
use crate::model::reward::Precision;
use crate::model::weights::WeightForm;
use crate::model::{ModelFacts, Runner, Wanted};

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

const FAMILIES: [&str; 11] = [
    "llama",
    "llama-tied",
    "llama-rope-yarn",
    "mistral",
    "qwen2",
    "qwen3",
    "phi3",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt2-bare",
];

fn insertions() -> Vec<StreamArgs> {
    let part = |insertion| StreamArgs { insertion, one_in: 4, ..StreamArgs::default() };
    vec![
        part(Place::Both),
        part(Place::Attention),
        part(Place::Mlp),
        StreamArgs { last_half: true, reads_original: true, ..part(Place::Both) },
        StreamArgs { start: Some(Begins::Zeros), ..part(Place::Both) },
        StreamArgs { experts: true, drafts: 3, ..part(Place::Both) },
    ]
}

/// Also spec section 11.14: three texts of unlike lengths packed side by side have the rewards each
/// has alone, at every position and so at the last real one.
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
            let (mut live, mut drafted) = (Vec::new(), Vec::new());
            for text in &texts {
                beside.truncate(0).unwrap();
                let output = beside.prefill(&text.ids, Wanted::All).unwrap();
                live.extend(output.reward);
                drafted.extend(output.drafts);
            }
            assert_eq!(drafted.len(), args.drafts * reads.len());
            for draft in 0..args.drafts {
                // What the running heads draft is what the trained ones hold likeliest.
                let targets = drafted.iter().skip(draft).step_by(args.drafts).copied().collect();
                let head = format!("head.draft.{}.weight", draft + 1);
                let signal = Signal { head, is_draft: true, reads: reads.clone(), targets };
                let said = stream.read(&numbers, &[], &[signal], true).unwrap();
                assert!(said.rewards.is_none());
                assert_eq!(said.signals[0].1 as usize, reads.len(), "{family} draft {draft}");
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
        training: vec![
            Lesson::Pair([0, 1]),
            Lesson::Pair([2, 1]),
            Lesson::Rating(2, 0.7),
            Lesson::Own(2),
        ],
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
        let heads = StreamArgs { reads_original: true, experts: true, ..StreamArgs::default() };
        let args = StreamArgs { one_in: 4, drafts: 2, ..heads };
        check_gradients(&stream(&checkpoint, &args, WeightForm::F32), family);
    }
    let judge = Judge::begin(&golden("llama"), Arc::new(texts()), 1, &Device::Cpu);
    check_gradients(&judge.unwrap(), "a model of its own");
}

/// Spec sections 11.3 and 11.16: whatever the inserted weights are, the base says the same to the
/// bit, so that nothing of its logits has a slope in them; and a step moves inserted tensors alone,
/// since what the base recorded is constant.
#[test]
fn the_base_s_logits_know_no_inserted_weight_and_only_inserted_ones_are_moved() {
    for family in ["qwen3", "gemma2", "gpt2"] {
        let args = StreamArgs { experts: true, drafts: 1, one_in: 4, ..StreamArgs::default() };
        let stream = stream(&golden(family), &args, WeightForm::F32);
        let (lessons, workers) = (lessons(), Workers::new(1).unwrap());
        let schedule = Schedule { learning_rate: 1e-3, ..Schedule::default() };
        let learner =
            Learner { schedule: &schedule, lessons: &lessons, model: &stream, workers: &workers };
        let said = || -> Vec<Vec<u32>> {
            let bits = |ids: &[u32]| -> Vec<u32> {
                stream.records.logits(ids).unwrap().iter().map(|logit| logit.to_bits()).collect()
            };
            texts().iter().map(|text| bits(&text.ids)).collect()
        };
        let recorded = |number: usize| stream.records.of(&[number]).unwrap().remove(0);
        stream.ready(&[0, 1, 2]).unwrap();
        let (before, record) = (said(), recorded(1));
        let values = || state::values(&stream).unwrap();
        let was = values();
        let mut optimizer = AdamW::fresh(&stream).unwrap();
        for step in 0..2 {
            let (_, grads) = learner.compute(&lessons.training, 2, true).unwrap();
            optimizer.step(&stream, &grads, &learner.step_size(step, 2)).unwrap();
        }
        let moved = was.iter().zip(values()).filter(|(was, is)| *was != is).count();
        assert!(2 * moved > was.len(), "{family}: only {moved} of {} tensors moved", was.len());
        assert!(said() == before, "{family}: the base says something else");
        stream.ready(&[]).unwrap();
        stream.ready(&[1]).unwrap();
        assert!(recorded(1) == record, "{family}: another record of the same text");
    }
}

#[test]
fn several_streams_beside_one_base_read_what_each_alone_would() {
    let checkpoint = golden("gemma2");
    let others = insertions();
    let base = decoder(&checkpoint, WeightForm::F32);
    let layout = others
        .iter()
        .fold(layout(&others[0], base.spec()), |all, one| all.with(&layout(one, base.spec())));
    let records = Arc::new(Records::new(base, layout, Arc::new(texts())));
    for args in &others {
        let model = ModelFacts::default();
        let together =
            Stream::beside(args, 3, records.clone(), &checkpoint, &model, &Device::Cpu).unwrap();
        let base = decoder(&checkpoint, WeightForm::F32);
        let texts = Arc::new(texts());
        let alone = Stream::begin(args, 3, base, &checkpoint, &model, texts, &Device::Cpu).unwrap();
        let rewards = |stream: &Stream| {
            stream.ready(&[0, 2]).unwrap();
            let reads = [(0, 3), (0, 13), (1, 8)];
            stream.rewards(&[0, 2], &reads).unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(rewards(&together), rewards(&alone), "{args:?}");
    }
    // What was not recorded is missed by name.
    let wide = StreamArgs { one_in: 1, ..others[0].clone() };
    let model = ModelFacts::default();
    let stream = Stream::beside(&wide, 3, records, &checkpoint, &model, &Device::Cpu).unwrap();
    stream.ready(&[0]).unwrap();
    let error = stream.rewards(&[0], &[(0, 1)]).unwrap_err().to_string();
    assert!(error.contains("recorded too narrow"), "{error}");
}

#[test]
fn batches_in_parts_have_the_gradients_of_the_whole() {
    let args = StreamArgs { experts: true, drafts: 2, ..StreamArgs::default() };
    let stream = stream(&golden("llama"), &args, WeightForm::F32);
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
