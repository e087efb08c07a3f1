//! A whole model: load, memory, prefill and decode at 1, 4, 16 and 32 rows, per weight type.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::{StoredType, WeightForm};

use crate::checkpoint;
use crate::products::TYPES;
use crate::shape::Shape;
use crate::timing::{best_of, resident_bytes};

/// The option with which this program calls itself.
pub const LINE: &str = "--line";

const PROMPT: usize = 128;
const ROWS: [usize; 4] = [1, 4, 16, 32];
const STEPS: usize = 12;

pub fn print(shape: Shape, types: &[String], copy: f64) -> Result<()> {
    println!(
        "{} shape, random weights, tied head; tokens/s for a prefill of {PROMPT}, then decode with \
         so many rows in all",
        shape.name
    );
    println!(
        "{:<18} {:>7} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "weights",
        "load s",
        "MiB",
        "+memory",
        "prefill",
        "1 row",
        "4 rows",
        "16 rows",
        "32 rows",
        "GB/s",
        "of copy"
    );
    let folder = tempfile::tempdir()?;
    for stored in TYPES {
        let dtype = match stored {
            StoredType::F32 => GgmlDType::F32,
            StoredType::F16 => GgmlDType::F16,
            StoredType::BF16 => GgmlDType::BF16,
            StoredType::Quantized(dtype) => dtype,
        };
        let forms: &[WeightForm] = match stored {
            StoredType::BF16 => &[WeightForm::Stored, WeightForm::Q8_0, WeightForm::Q4K],
            _ => &[WeightForm::Stored],
        };
        let name = |form: WeightForm| match form {
            WeightForm::Stored => stored.to_string(),
            made => format!("{made} from {stored}"),
        };
        let wanted: Vec<WeightForm> = forms
            .iter()
            .copied()
            .filter(|form| types.is_empty() || types.contains(&name(*form)))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let path = folder.path().join("random.gguf");
        checkpoint::write(&path, shape, dtype)?;
        for form in wanted {
            print!("{:<18}", name(form));
            std::io::stdout().flush()?;
            // In a process of its own: memory that was used before would hide what this takes.
            let mut child = Command::new(std::env::current_exe()?);
            child.arg(LINE).arg(&path).arg(form.to_string()).arg(copy.to_string());
            ensure!(child.status()?.success(), "measuring {} failed", name(form));
        }
    }
    println!();
    Ok(())
}

/// Measures one line of the table: the file, the form in memory, the copy rate.
pub fn print_line(arguments: &[String]) -> Result<()> {
    let [path, form, copy] = arguments else { bail!("{LINE} needs a file, a form and a rate") };
    let (path, form, copy) = (Path::new(path), form.parse::<WeightForm>()?, copy.parse::<f64>()?);
    let before = resident_bytes();
    let start = Instant::now();
    let checkpoint = Checkpoint::open(path)?;
    let spec = DecoderSpec::from_config(&checkpoint.config)?;
    let length = PROMPT + 4 * STEPS;
    let mut decoder =
        Decoder::load(&checkpoint, spec, &Device::Cpu, form, length, &mut |_, _| true)?;
    let seconds = start.elapsed().as_secs_f64();
    let weights = checkpoint.weight_bytes();
    let read = matrix_bytes(&checkpoint, form) as f64;
    drop(checkpoint);
    let held = resident_bytes().saturating_sub(before);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    print!(" {seconds:>7.2} {:>8.0} {:>8.0}", mib(weights), mib(held));

    let vocab = decoder.vocab_size();
    let ids: Vec<u32> = (0..PROMPT).map(|at| (at * 97 % vocab) as u32).collect();
    let mut failed = None;
    let prefill = best_of(3, || {
        let done = decoder.truncate(0).and_then(|()| decoder.prefill(&ids, Wanted::Last));
        failed = done.err().or(failed.take());
    });
    print!(" {:>9.1}", PROMPT as f64 / prefill);
    let mut single = 0.0;
    for rows in ROWS {
        decoder.truncate(PROMPT)?;
        decoder.gather(&vec![0; rows])?;
        let next: Vec<u32> = (0..rows).map(|row| (row * 31 % vocab) as u32).collect();
        let step = best_of(STEPS, || failed = decoder.step(&next).err().or(failed.take()));
        if rows == 1 {
            single = step;
        }
        print!(" {:>9.1}", rows as f64 / step);
    }
    if let Some(failed) = failed {
        return Err(failed);
    }
    let read = read / single;
    println!(" {:>8.1} {:>7.0}%", read / 1e9, 100.0 * read / copy);
    Ok(())
}

/// What a step reads of the weights, in the form they have in memory. The tied embedding counts
/// once: it is the head.
fn matrix_bytes(checkpoint: &Checkpoint, form: WeightForm) -> u64 {
    let matrices = checkpoint.tensors.values().filter(|tensor| tensor.shape.len() == 2);
    let bytes = matrices.filter_map(|tensor| {
        let columns = *tensor.shape.last()?;
        form.held(tensor.dtype, columns).bytes_of(tensor.element_count())
    });
    bytes.map(|bytes| bytes as u64).sum()
}
