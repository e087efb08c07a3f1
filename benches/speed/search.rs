//! What a search costs: sixteen rows in one pass beside sixteen replies one after the other, in one
//! run, and what copying keys and values at the rankings takes of it.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::load::Checkpoints;
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;
use tiller::model::{LoadOptions, Loader};

use crate::checkpoint;
use crate::shape::Shape;

const PROMPT: usize = 64;
const TOKENS: usize = 30;
/// W, K and L of the published experiments.
const KEPT: usize = 4;
const ROWS: usize = 16;
const CHUNK: usize = 5;
/// Most of the runs one after the other that are made; the rest are reckoned.
const ALONE: usize = 4;

pub fn print(shape: Shape) -> Result<()> {
    println!(
        "{ROWS} rows of {TOKENS} tokens, ranked every {CHUNK}, beside {ROWS} replies one after the \
         other ({ALONE} of them made); keys and values of {KEPT} kept rows copied at each ranking"
    );
    println!(
        "{:<22} {:>11} {:>11} {:>14} {:>7} {:>9}",
        "model", "rows tok/s", "per row", "alone tok/s", "gain", "copying"
    );
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter");
    let mut model = Checkpoints.load(&starter, &LoadOptions::default(), &mut |_, _| true)?;
    line("starter", model.runner.as_mut())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("random.gguf");
    checkpoint::write(&path, shape, GgmlDType::BF16)?;
    let checkpoint = Checkpoint::open(&path)?;
    let spec = DecoderSpec::from_config(&checkpoint.config)?;
    let (device, form) = (Device::Cpu, WeightForm::Stored);
    let length = PROMPT + TOKENS + 8;
    let mut decoder = Decoder::load(&checkpoint, spec, &device, form, length, &mut |_, _| true)?;
    line(&format!("{}, bf16", shape.name), &mut decoder)?;
    println!();
    Ok(())
}

fn line(name: &str, runner: &mut dyn Runner) -> Result<()> {
    let prompt: Vec<u32> = (0..PROMPT as u32).map(|at| 7 * at + 5).collect();
    let id = |row: usize, step: usize| (31 * row + 17 * step + 5) as u32 % 4000;
    let begin = |runner: &mut dyn Runner| -> Result<()> {
        if runner.rows() > 1 {
            runner.gather(&[0])?;
        }
        runner.truncate(0)?;
        runner.prefill(&prompt, Wanted::Last)?;
        Ok(())
    };
    let (mut together, mut copying, mut alone) = (f64::INFINITY, 0.0, f64::INFINITY);
    for _ in 0..2 {
        begin(runner)?;
        let (started, mut copied) = (Instant::now(), 0.0);
        runner.gather(&[0; ROWS])?;
        for step in 0..TOKENS {
            let ids: Vec<u32> = (0..ROWS).map(|row| id(row, step)).collect();
            runner.step(&ids)?;
            if (step + 1) % CHUNK == 0 {
                // Those kept are spread over the rows.
                let parents: Vec<usize> =
                    (0..ROWS).map(|row| (row % KEPT) * KEPT + step % KEPT).collect();
                let before = Instant::now();
                runner.gather(&parents)?;
                copied += before.elapsed().as_secs_f64();
            }
        }
        let took = started.elapsed().as_secs_f64();
        if took < together {
            (together, copying) = (took, copied / took);
        }
        begin(runner)?;
        let started = Instant::now();
        for row in 0..ALONE {
            runner.truncate(PROMPT)?;
            for step in 0..TOKENS {
                runner.step(&[id(row, step)])?;
            }
        }
        alone = alone.min(started.elapsed().as_secs_f64());
    }
    let rows = (ROWS * TOKENS) as f64 / together;
    let single = (ALONE * TOKENS) as f64 / alone;
    println!(
        "{name:<22} {rows:>11.1} {:>11.1} {single:>14.1} {:>6.2}x {:>7.2} %",
        rows / ROWS as f64,
        rows / single,
        100.0 * copying
    );
    Ok(())
}
