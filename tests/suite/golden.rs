//! The decoder against the reference implementation, family by family, through the `Runner` seam.
//!
//! The checkpoints and the expected numbers are made by `tests/golden/families.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted, reuse_prefix};
use tiller::model::weights::WeightForm;

/// The largest difference the project allows in f32.
const TOLERANCE: f32 = 1e-4;
/// Positions a fixture's sequence and its continuation fit into.
const ROOM: usize = 96;

const CASES: [&str; 16] = [
    "llama",
    "llama-tied",
    "llama-sharded",
    "llama-rope-llama3",
    "llama-rope-linear",
    "llama-rope-yarn",
    "mistral",
    "qwen2",
    "qwen3",
    "phi3",
    "phi3-longrope",
    "gemma2",
    "gemma3",
    "gemma3-nested",
    "gpt2",
    "gpt2-bare",
];

fn families() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

fn load(name: &str, room: usize) -> Decoder {
    let checkpoint = Checkpoint::open(&families().join(name)).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let mut progress = |_, _| true;
    Decoder::load(&checkpoint, spec, &Device::Cpu, WeightForm::F32, room, &mut progress).unwrap()
}

/// What the reference says of one fixture.
struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn of(name: &str) -> Self {
        let file = families().join(format!("{name}.expected.safetensors"));
        Self(candle_core::safetensors::load(file, &Device::Cpu).unwrap())
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.0[name].to_dtype(DType::U32).unwrap().to_vec1().unwrap()
    }

    fn rows(&self, name: &str) -> Vec<f32> {
        self.0[name].flatten_all().unwrap().to_vec1().unwrap()
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    // Not `f32::max`, which would pass over a NaN.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, x| if x <= most { most } else { x })
}

#[track_caller]
fn assert_close(name: &str, what: &str, a: &[f32], b: &[f32]) {
    let difference = largest_difference(a, b);
    assert!(difference <= TOLERANCE, "{name}: {what} differ by {difference:e}");
}

/// Lowest id on ties.
fn best(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

#[test]
fn logits_and_hidden_states_equal_the_reference() {
    for name in CASES {
        let expected = Expected::of(name);
        let ids = expected.ids("ids");
        for plain in [false, true] {
            let mut decoder = load(name, ROOM);
            decoder.use_plain_operations(plain);
            let output = decoder.prefill(&ids, Wanted::All).unwrap();
            assert_eq!(output.rows, ids.len());
            let what = if plain { "candle's logits" } else { "logits" };
            assert_close(name, what, &output.logits, &expected.rows("logits"));
            assert_close(name, "hidden states", &output.hidden, &expected.rows("hidden"));
            println!(
                "{name}: {what} differ by {:.1e}, hidden states by {:.1e}",
                largest_difference(&output.logits, &expected.rows("logits")),
                largest_difference(&output.hidden, &expected.rows("hidden"))
            );
        }
    }
}

#[test]
fn greedy_decoding_continues_as_the_reference_does() {
    for name in CASES {
        let expected = Expected::of(name);
        let mut decoder = load(name, ROOM);
        let output = decoder.prefill(&expected.ids("ids"), Wanted::Last).unwrap();
        let mut continued = vec![best(&output.logits)];
        while continued.len() < 32 {
            let output = decoder.step(&continued[continued.len() - 1..]).unwrap();
            continued.push(best(&output.logits));
        }
        assert_eq!(continued, expected.ids("greedy"), "{name}");
    }
}

#[test]
fn a_short_context_takes_the_short_list_of_longrope() {
    let expected = Expected::of("phi3-longrope");
    let short = expected.rows("short_logits");
    let ids = &expected.ids("ids")[..16];
    let close = load("phi3-longrope", 16).prefill(ids, Wanted::All).unwrap();
    assert_close("phi3-longrope", "logits of a short context", &close.logits, &short);
    let far = load("phi3-longrope", 17).prefill(ids, Wanted::All).unwrap();
    assert!(largest_difference(&far.logits, &short) > 100.0 * TOLERANCE);
}

#[test]
fn steps_and_chunks_equal_one_prefill() {
    for name in CASES {
        let ids = Expected::of(name).ids("ids");
        let whole = load(name, ROOM).prefill(&ids, Wanted::All).unwrap();

        let mut decoder = load(name, ROOM);
        for (position, id) in ids.iter().enumerate() {
            let output = decoder.step(&[*id]).unwrap();
            assert_close(name, "logits of a step", &output.logits, whole.logits_of(position));
            assert_close(name, "hidden state of a step", &output.hidden, whole.hidden_of(position));
        }
        assert_eq!((decoder.len(), decoder.ids()), (ids.len(), ids.as_slice()));

        let mut decoder = load(name, ROOM);
        let mut logits = Vec::new();
        for chunk in ids.chunks(5) {
            logits.extend(decoder.prefill(chunk, Wanted::All).unwrap().logits);
        }
        assert_close(name, "logits of chunks", &logits, &whole.logits);
        decoder.truncate(0).unwrap();
        assert!(decoder.is_empty());
        let last = decoder.prefill(&ids, Wanted::Last).unwrap();
        assert_eq!(last.rows, 1);
        assert_close(name, "the last row", &last.logits, whole.logits_of(ids.len() - 1));
    }
}

/// Rows of their own: four continuations of one prompt, gathered, against single decoders.
#[test]
fn rows_equal_single_runs() {
    for name in CASES {
        // Candle's operations ask nothing of a family that these two do not ask.
        let ways: &[bool] =
            if ["mistral", "gemma2"].contains(&name) { &[false, true] } else { &[false] };
        for plain in ways.iter().copied() {
            let ids = Expected::of(name).ids("ids");
            let (prompt, rest) = ids.split_at(11);
            let mut decoder = load(name, ROOM);
            decoder.use_plain_operations(plain);
            decoder.prefill(prompt, Wanted::Last).unwrap();
            decoder.gather(&[0, 0, 0]).unwrap();
            assert_eq!((decoder.rows(), decoder.len()), (3, prompt.len()));

            let mut rows: Vec<Vec<u32>> = vec![prompt.to_vec(); 3];
            let mut alone = load(name, ROOM);
            let mut feed = |decoder: &mut Decoder, rows: &mut Vec<Vec<u32>>, steps: &[u32]| {
                for id in steps {
                    let fed: Vec<u32> =
                        (0..rows.len() as u32).map(|row| (id + 5 * row) % 96).collect();
                    let output = decoder.step(&fed).unwrap();
                    rows.iter_mut().zip(&fed).for_each(|(row, id)| row.push(*id));
                    for (index, row) in rows.iter().enumerate() {
                        alone.truncate(0).unwrap();
                        let single = alone.prefill(row, Wanted::Last).unwrap();
                        assert_close(name, "rows", output.logits_of(index), &single.logits);
                    }
                }
                assert_eq!(decoder.ids(), rows[0]);
            };
            feed(&mut decoder, &mut rows, &rest[..4]);
            decoder.gather(&[2, 0, 2, 1]).unwrap();
            rows = [2, 0, 2, 1].map(|parent: usize| rows[parent].clone()).to_vec();
            assert_eq!(decoder.rows(), 4);
            feed(&mut decoder, &mut rows, &rest[4..6]);

            // Back into the tails, and on from there.
            let len = decoder.len() - 3;
            decoder.truncate(len).unwrap();
            rows.iter_mut().for_each(|row| row.truncate(len));
            assert_eq!((decoder.rows(), decoder.len()), (4, len));
            feed(&mut decoder, &mut rows, &rest[6..7]);

            // One parent settles.
            decoder.gather(&[3]).unwrap();
            rows = vec![rows.remove(3)];
            assert_eq!((decoder.rows(), decoder.ids()), (1, rows[0].as_slice()));
            feed(&mut decoder, &mut rows, &rest[7..9]);
        }
    }
}

#[test]
fn a_gather_of_one_row_many_times_shares_it() {
    let ids = Expected::of("mistral").ids("ids");
    let mut decoder = load("mistral", ROOM);
    decoder.prefill(&ids[..9], Wanted::Last).unwrap();
    decoder.gather(&[0, 0]).unwrap();
    decoder.step(&[3, 4]).unwrap();
    decoder.gather(&[1, 1, 1]).unwrap();
    assert_eq!((decoder.rows(), decoder.len()), (3, 10));
    assert_eq!(decoder.ids()[9], 4);
    let output = decoder.step(&[5, 6, 7]).unwrap();
    let mut row = ids[..9].to_vec();
    row.extend([4, 6]);
    let single = load("mistral", ROOM).prefill(&row, Wanted::Last).unwrap();
    assert_close("mistral", "the middle row", output.logits_of(1), &single.logits);
}

#[test]
fn truncating_the_shared_part_leaves_one_row() {
    let ids = Expected::of("gemma3").ids("ids");
    let mut decoder = load("gemma3", ROOM);
    decoder.prefill(&ids[..12], Wanted::Last).unwrap();
    decoder.gather(&[0, 0]).unwrap();
    decoder.step(&[3, 4]).unwrap();
    decoder.truncate(12).unwrap();
    assert_eq!((decoder.rows(), decoder.len()), (2, 12));
    decoder.step(&[3, 4]).unwrap();
    decoder.truncate(8).unwrap();
    assert_eq!((decoder.rows(), decoder.ids()), (1, &ids[..8]));
    let output = decoder.prefill(&ids[8..], Wanted::Last).unwrap();
    let single = load("gemma3", ROOM).prefill(&ids, Wanted::Last).unwrap();
    assert_close("gemma3", "after rolling back", &output.logits, &single.logits);
}

#[test]
fn a_new_turn_reuses_the_prefix_it_shares() {
    let ids = Expected::of("llama").ids("ids");
    let mut decoder = load("llama", ROOM);
    decoder.prefill(&ids[..10], Wanted::Last).unwrap();
    decoder.gather(&[0, 0]).unwrap();
    decoder.step(&[ids[10], 3]).unwrap();
    // Ten shared ids and row 0's tail are the new prompt's, the rest is not held.
    assert_eq!(reuse_prefix(&mut decoder, &ids).unwrap(), 11);
    assert_eq!((decoder.rows(), decoder.len()), (1, 11));
    let output = decoder.prefill(&ids[11..], Wanted::Last).unwrap();
    let single = load("llama", ROOM).prefill(&ids, Wanted::Last).unwrap();
    assert_close("llama", "a reused prefix", &output.logits, &single.logits);
    // The same prompt again: the last id is left to feed.
    assert_eq!(reuse_prefix(&mut decoder, &ids).unwrap(), ids.len() - 1);
    // Another one.
    assert_eq!(reuse_prefix(&mut decoder, &[95, 94]).unwrap(), 0);
    assert!(decoder.is_empty());
}

#[test]
fn what_cannot_be_fed_is_refused_and_changes_nothing() {
    let mut decoder = load("llama", 8);
    decoder.prefill(&[5, 6, 7], Wanted::Last).unwrap();
    let refused = |result: anyhow::Result<tiller::model::StepOutput>| {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refused(decoder.prefill(&[96], Wanted::Last)).contains("vocabulary of 96"));
    assert!(refused(decoder.prefill(&[1; 6], Wanted::Last)).contains("context is full"));
    assert!(refused(decoder.prefill(&[], Wanted::Last)).contains("at least one token"));
    assert!(refused(decoder.step(&[1, 2])).contains("fed 2 ids"));
    assert!(decoder.gather(&[]).is_err());
    assert!(decoder.gather(&[1]).is_err());
    assert_eq!((decoder.rows(), decoder.ids()), (1, &[5, 6, 7][..]));
    decoder.gather(&[0, 0]).unwrap();
    assert!(refused(decoder.prefill(&[1], Wanted::Last)).contains("one row"));
    for _ in 0..5 {
        decoder.step(&[1, 2]).unwrap();
    }
    assert!(refused(decoder.step(&[1, 2])).contains("context is full"));
    assert_eq!((decoder.rows(), decoder.len()), (2, 8));
}
