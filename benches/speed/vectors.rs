//! What alignment vectors cost: the same steps plain and steered, in turn, in one run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::vector::{Part, Vector};
use tiller::model::weights::WeightForm;

use crate::checkpoint;
use crate::shape::Shape;
use crate::timing::best_of;

const DOMAINS: u64 = 3;
const RANK: usize = 16;
const PROMPT: usize = 128;
const STEPS: usize = 24;
/// A step may be this much longer with three vectors in play, at one row and at eight.
const MOST_RATIO: f64 = 1.10;
/// Strengths are written in this time, in seconds.
const MOST_CHANGE: f64 = 100e-6;

pub fn print(shape: Shape, types: &[String]) -> Result<()> {
    println!(
        "{} shape, {DOMAINS} vectors of rank {RANK} on every projection: ms per step of all rows, \
         plain and steered in turn; best and median of {STEPS}, and of a prefill of {PROMPT}",
        shape.name
    );
    println!(
        "{:<8} {:>8} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7} {:>12}",
        "weights", "rows", "plain", "steered", "ratio", "plain", "steered", "ratio", "strengths µs"
    );
    let folder = tempfile::tempdir()?;
    let mut bars = Vec::new();
    for (name, dtype) in [("bf16", GgmlDType::BF16), ("q8_0", GgmlDType::Q8_0)] {
        if !types.is_empty() && !types.iter().any(|wanted| wanted == name) {
            continue;
        }
        let path = folder.path().join("random.gguf");
        checkpoint::write(&path, shape, dtype)?;
        let checkpoint = Checkpoint::open(&path)?;
        let spec = DecoderSpec::from_config(&checkpoint.config)?;
        let length = PROMPT + 4 * STEPS + 8;
        let mut decoder = Decoder::load(
            &checkpoint,
            spec,
            &Device::Cpu,
            WeightForm::Stored,
            length,
            &mut |_, _| true,
        )?;
        let vectors: Vec<Arc<Vector>> =
            (0..DOMAINS).map(|seed| Arc::new(vector(&checkpoint, seed))).collect();
        decoder.attach(&vectors)?;
        let on = [1.0, -0.5, 0.75];
        let off = [0.0; 3];
        let change = best_of(50, || decoder.set_strengths(&on).unwrap_or_default());
        let ids: Vec<u32> = (0..PROMPT as u32).collect();
        decoder.truncate(0)?;
        decoder.prefill(&ids, Wanted::Last)?;
        for rows in [1, 8] {
            decoder.truncate(PROMPT)?;
            decoder.gather(&vec![0; rows])?;
            let next: Vec<u32> = (0..rows as u32).map(|row| row * 31).collect();
            let [plain, steered] =
                in_turn(&mut decoder, [&off, &on], STEPS, |decoder| decoder.step(&next).map(drop))?;
            line(name, &rows.to_string(), plain, steered, change);
            bars.push((format!("{name}, {rows} rows"), steered[1] / plain[1], change));
            decoder.truncate(PROMPT)?;
            decoder.gather(&[0])?;
        }
        let [plain, steered] = in_turn(&mut decoder, [&off, &on], 4, |decoder| {
            decoder.truncate(0)?;
            decoder.prefill(&ids, Wanted::Last).map(drop)
        })?;
        line(name, "prefill", plain, steered, change);
    }
    for (what, ratio, change) in bars {
        let holds = |holds: bool| if holds { "holds" } else { "FAILS" };
        println!(
            "{what}: {} at most 10 % longer by the median ({ratio:.3}), {} strengths written in \
             under 100 µs ({:.1})",
            holds(ratio <= MOST_RATIO),
            holds(change < MOST_CHANGE),
            1e6 * change
        );
    }
    println!();
    Ok(())
}

/// Best and median seconds under each of two strengths, taken alternately so that whatever else
/// the computer does meets both.
fn in_turn(
    decoder: &mut Decoder,
    strengths: [&[f32]; 2],
    runs: usize,
    mut work: impl FnMut(&mut Decoder) -> Result<()>,
) -> Result<[[f64; 2]; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (strengths, times) in strengths.into_iter().zip(&mut times) {
            decoder.set_strengths(strengths)?;
            let start = Instant::now();
            work(decoder)?;
            times.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        [times[0], times[times.len() / 2]]
    }))
}

fn line(name: &str, rows: &str, plain: [f64; 2], steered: [f64; 2], change: f64) {
    print!("{name:<8} {rows:>8}");
    for (plain, steered) in plain.into_iter().zip(steered) {
        print!(" {:>10.2} {:>10.2} {:>7.3}", 1e3 * plain, 1e3 * steered, steered / plain);
    }
    println!(" {:>12.1}", 1e6 * change);
}

/// Random factors for every projection, of values a 16-bit file holds.
fn vector(checkpoint: &Checkpoint, seed: u64) -> Vector {
    let mut state = seed + 1;
    let mut numbers = |count: usize, size: f32| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size
        };
        (0..count).map(|_| half::bf16::from_f32(next()).to_f32()).collect()
    };
    let mut parts = BTreeMap::new();
    for (name, tensor) in &checkpoint.tensors {
        if let (true, &[outputs, inputs]) = (name.contains("_proj."), tensor.shape.as_slice()) {
            let down = numbers(RANK * inputs, 1.0 / (inputs as f32).sqrt());
            let up = numbers(outputs * RANK, 0.01);
            let part = Part::LowRank { down, up, rank: RANK, inputs, outputs, scale: 1.0 };
            parts.insert(name.clone(), part);
        }
    }
    Vector { name: format!("random {seed}"), parts, ..Vector::default() }
}
