//! What a reward adapter costs: the same steps plain and with the inserted stream beside them, in
//! turn, in one run; and a step of ten candidates, decoding by reward.

use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec, initialise};
use tiller::model::reward::{Adapter, Facts, Heads, Initialisation, Precision, Shape, Sizes};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;

use crate::checkpoint;
use crate::shape::Shape as Sized;

const PROMPT: usize = 128;
const STEPS: usize = 24;
const CANDIDATES: usize = 10;
/// What showing rewards may cost of a step of one row, by the median.
const MOST_FOR_DISPLAY: f64 = 1.2;

pub fn print(shape: Sized, types: &[String]) -> Result<()> {
    println!(
        "{} shape, random weights, an adapter of one eighth: ms per step, plain and with rewards \
         in turn; best and median of {STEPS}",
        shape.name
    );
    println!(
        "{:<8} {:>10} {:>9} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7}",
        "weights", "inserted", "rows", "plain", "rewards", "ratio", "plain", "rewards", "ratio"
    );
    let folder = tempfile::tempdir()?;
    for (name, dtype, precision) in [
        ("f32", GgmlDType::F32, Precision::F32),
        ("bf16", GgmlDType::BF16, Precision::BF16),
        ("q8_0", GgmlDType::Q8_0, Precision::BF16),
    ] {
        if !types.is_empty() && !types.iter().any(|wanted| wanted == name) {
            continue;
        }
        let path = folder.path().join("random.gguf");
        checkpoint::write(&path, shape, dtype)?;
        let checkpoint = Checkpoint::open(&path)?;
        let spec = DecoderSpec::from_config(&checkpoint.config)?;
        let facts = Facts { sizes: Sizes::one_in(8, &spec), ..Facts::default() };
        let sizes = Shape::new(&facts, Heads::default(), &spec)?;
        let tensors = initialise(&checkpoint, &sizes, Initialisation::Mirror, 1)?;
        let inserted = sizes.parameter_count();
        let adapter = Adapter { facts, tensors, precision };
        let load = || {
            let length = PROMPT + 4 * STEPS + 8;
            let device = Device::Cpu;
            let form = WeightForm::Stored;
            let spec = spec.clone();
            Decoder::load(&checkpoint, spec, &device, form, length, &mut |_, _| true)
        };
        let (mut plain, mut rewarded) = (load()?, load()?);
        rewarded.insert(Some(&adapter))?;
        drop(adapter);
        let ids: Vec<u32> = (0..PROMPT as u32).collect();
        for rows in [1, CANDIDATES] {
            let next: Vec<u32> = (0..rows as u32).map(|row| row * 31).collect();
            for decoder in [&mut plain, &mut rewarded] {
                decoder.truncate(0)?;
                decoder.prefill(&ids, Wanted::Last)?;
                decoder.gather(&vec![0; rows])?;
            }
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..STEPS {
                for (decoder, times) in [&mut plain, &mut rewarded].into_iter().zip(&mut times) {
                    let start = Instant::now();
                    decoder.step(&next)?;
                    times.push(start.elapsed().as_secs_f64());
                }
            }
            for times in &mut times {
                times.sort_by(f64::total_cmp);
            }
            let [plain, rewarded] = &times;
            print!("{name:<8} {:>9.1}M {rows:>9}", inserted as f64 / 1e6);
            for at in [0, STEPS / 2] {
                let (plain, rewarded) = (plain[at], rewarded[at]);
                print!(" {:>10.2} {:>10.2} {:>7.3}", 1e3 * plain, 1e3 * rewarded, rewarded / plain);
            }
            // What a person sees while a reply is made is one row; ten are decoding by reward.
            let ratio = rewarded[STEPS / 2] / plain[STEPS / 2];
            match rows {
                1 if ratio <= MOST_FOR_DISPLAY => println!("  holds (at most 1.2)"),
                1 => println!("  FAILS (at most 1.2)"),
                _ => println!(),
            }
        }
    }
    println!();
    Ok(())
}
