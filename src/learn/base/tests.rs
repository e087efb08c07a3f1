//! Whole runs on tiny text: memorising, taking up again, and folders that others can read.

use std::cell::Cell;
use std::path::Path;

use super::*;
use crate::learn::network::Network;
use crate::platform::Cancelled;

const TEXT: &str = "The fox sleeps under the old tree while the rain falls on the quiet valley.";

/// A text file that says the same thing forty times, and arguments for a micro model of it.
fn micro(dir: &Path, steps: u64) -> BaseArgs {
    let text = dir.join("text.jsonl");
    let line = format!("{}\n", serde_json::json!({ "text": TEXT }));
    std::fs::write(&text, line.repeat(100)).unwrap();
    BaseArgs {
        hidden: 32,
        layers: 2,
        heads: 2,
        key_heads: Some(1),
        ffn: 48,
        vocab: 300,
        context: 64,
        sequence: 32,
        batch: 4,
        steps: Some(steps),
        learning_rate: 1e-2,
        ..BaseArgs::new(vec![text], dir.join("out"))
    }
}

fn weights(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("model.safetensors")).unwrap()
}

#[test]
fn a_micro_model_learns_a_sentence_by_heart() {
    let dir = tempfile::tempdir().unwrap();
    let args = micro(dir.path(), 90);
    let mut first = None;
    let outcome = run(
        &args,
        || false,
        |line| {
            first = first.or(line.split("loss ").nth(1).and_then(|l| l[..5].parse::<f64>().ok()));
        },
    )
    .unwrap();
    assert!(first.unwrap() > 4.0, "it begins knowing nothing: {first:?}");
    assert!(outcome.perplexity < 1.5, "{outcome:?}");
    assert!(!args.out.join(trainer::STATE_FILE).exists(), "a finished run leaves no state");
}

#[test]
fn a_run_taken_up_again_is_the_same_run_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let straight = micro(dir.path(), 24);
    run(&straight, || false, |_| {}).unwrap();
    let mut broken = BaseArgs { out: dir.path().join("broken"), ..straight.clone() };
    // Stops in the middle of an epoch, twice.
    for stop_after in [7, 9] {
        let asked = Cell::new(0);
        let error = run(
            &broken,
            || {
                asked.set(asked.get() + 1);
                asked.get() == stop_after
            },
            |_| {},
        )
        .unwrap_err();
        assert!(error.is::<Cancelled>(), "{error:#}");
        broken.resume = true;
    }
    run(&broken, || false, |_| {}).unwrap();
    assert!(weights(&straight.out) == weights(&broken.out), "the weights differ");
}

#[test]
fn another_text_is_not_taken_for_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = micro(dir.path(), 10);
    run(&args, || true, |_| {}).unwrap_err();
    let again = run(&args, || false, |_| {}).unwrap_err();
    assert!(again.to_string().contains("--resume"), "{again:#}");
    args.resume = true;
    args.seed += 1;
    let error = run(&args, || false, |_| {}).unwrap_err();
    assert!(error.to_string().contains("the seed"), "{error:#}");
}

#[test]
fn a_broken_state_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = micro(dir.path(), 10);
    run(&args, || true, |_| {}).unwrap_err();
    args.resume = true;
    let state = args.out.join(trainer::STATE_FILE);
    let whole = std::fs::read(&state).unwrap();
    for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&state, &whole[..cut]).unwrap();
        let error = run(&args, || false, |_| {}).unwrap_err();
        assert!(error.to_string().contains(trainer::STATE_FILE), "{error:#}");
    }
    std::fs::write(&state, &whole).unwrap();
    run(&args, || false, |_| {}).unwrap();
}

#[test]
fn the_fused_network_is_the_plain_one() {
    let args = micro(tempfile::tempdir().unwrap().path(), 1);
    let mut network = Network::fresh(args.shape(64), 3, &candle_core::Device::Cpu).unwrap();
    let documents: Vec<Vec<u32>> =
        (0..9_u32).map(|d| (0..5 + d).map(|i| (i * 7 + d) % 64).collect()).collect();
    let batch = packing::Epoch::new(&documents, 16, 1, 0).batch(0, 3);
    let mut results = Vec::new();
    for operations in
        [crate::learn::network::Operations::Fused, crate::learn::network::Operations::Plain]
    {
        network.operations = operations;
        let loss = network.loss(&batch).unwrap();
        let grads = loss.backward().unwrap();
        let mut values = vec![loss.to_scalar::<f32>().unwrap()];
        for (name, var) in network.parameters() {
            let grad = grads.get(var).unwrap_or_else(|| panic!("{name}"));
            values.extend(grad.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
        results.push(values);
    }
    for (i, (fused, plain)) in results[0].iter().zip(&results[1]).enumerate() {
        assert!((fused - plain).abs() < 2e-5, "{i}: {fused} against {plain}");
    }
}

#[test]
fn workers_apart_compute_what_all_do_together() {
    let args = micro(tempfile::tempdir().unwrap().path(), 1);
    let network = Network::fresh(args.shape(64), 3, &candle_core::Device::Cpu).unwrap();
    let documents: Vec<Vec<u32>> =
        (0..30_u32).map(|d| (0..5 + d % 9).map(|i| (i * 7 + d) % 64).collect()).collect();
    let batch = packing::Epoch::new(&documents, 16, 1, 0).batch(0, 5);
    let results: Vec<(f64, Vec<f32>)> = [1, 2]
        .into_iter()
        .map(|workers| {
            let workers = gradients::Workers::new(workers).unwrap();
            let (loss, grads) = workers.compute(&network, &batch).unwrap();
            let mut values = Vec::new();
            for (_, var) in network.parameters() {
                let parts = grads.iter().map(|g| g.get(var).unwrap().clone());
                let sum = parts.reduce(|a, b| (a + b).unwrap()).unwrap();
                values.extend(sum.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            }
            (loss, values)
        })
        .collect();
    assert!((results[0].0 - results[1].0).abs() < 1e-5);
    for (together, apart) in results[0].1.iter().zip(&results[1].1) {
        assert!((together - apart).abs() < 1e-5, "{together} against {apart}");
    }
}
