//! What datastores cost: a plain step, and the same step with a store asked after it, in turn, in
//! one run; and a build's passes beside a prefill's.

use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use half::f16;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;
use tiller::platform::random;
use tiller::steer::datastore::Reference;
use tiller::steer::datastore::build::CHUNK;
use tiller::steer::datastore::distribution::mix;
use tiller::steer::datastore::search::{Block, nearest};

use crate::checkpoint;
use crate::shape::Shape;

const PROMPT: usize = 256;
const STEPS: usize = 16;
const NEIGHBOURS: usize = 32;
const ENTRIES: [usize; 2] = [20_480, 200_000];

pub fn print(shape: Shape) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("random.gguf");
    checkpoint::write(&path, shape, GgmlDType::BF16)?;
    let checkpoint = Checkpoint::open(&path)?;
    let spec = DecoderSpec::from_config(&checkpoint.config)?;
    let length = PROMPT + 8 * STEPS;
    let form = WeightForm::Stored;
    let mut decoder =
        Decoder::load(&checkpoint, spec, &Device::Cpu, form, length, &mut |_, _| true)?;
    let ids: Vec<u32> = (0..PROMPT as u32).map(|at| at * 7).collect();
    println!(
        "{} shape, bf16, a datastore asked at every step; best and median of {STEPS}",
        shape.name
    );
    println!(
        "{:>9} {:>6} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7} {:>9}",
        "entries", "heads", "plain ms", "asked ms", "ratio", "plain ms", "asked ms", "ratio", "MB"
    );
    for entries in ENTRIES {
        let keys: Vec<f16> = keys(entries, shape.hidden);
        let blocks = [Block { first: 0, keys: &keys }];
        for heads in [1, shape.heads] {
            decoder.truncate(0)?;
            decoder.prefill(&ids, Wanted::Last)?;
            let mut times = [Vec::new(), Vec::new()];
            for step in 0..2 * STEPS {
                let start = Instant::now();
                let output = decoder.step(&[step as u32])?;
                if step % 2 == 1 {
                    let found = nearest(&blocks, output.hidden_of(0), heads, NEIGHBOURS, &(0..0));
                    let said = Reference::of(&found, 100.0, |entry| (entry % shape.vocab) as u32);
                    let mut logits = output.logits.clone();
                    mix(&mut logits, 1.0, &said.iter().map(|said| (0.5, said)).collect::<Vec<_>>());
                }
                times[step % 2].push(start.elapsed().as_secs_f64());
            }
            let [plain, asked] = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                [times[0], times[times.len() / 2]]
            });
            print!("{entries:>9} {heads:>6}");
            for (plain, asked) in plain.into_iter().zip(asked) {
                print!(" {:>10.2} {:>10.2} {:>7.3}", 1e3 * plain, 1e3 * asked, asked / plain);
            }
            println!(" {:>9.1}", (2 * entries * shape.hidden) as f64 / 1e6);
        }
    }
    let mut rates = [0_f64; 2];
    for _ in 0..3 {
        for (wanted, rate) in [Wanted::Last, Wanted::Hidden].into_iter().zip(&mut rates) {
            decoder.truncate(0)?;
            let start = Instant::now();
            for chunk in ids.chunks(CHUNK) {
                decoder.prefill(chunk, wanted)?;
            }
            *rate = rate.max(ids.len() as f64 / start.elapsed().as_secs_f64());
        }
    }
    let share = 100.0 * rates[1] / rates[0];
    println!("prefill {:.1} tokens/s, build {:.1} tokens/s: {share:.0} %\n", rates[0], rates[1]);
    Ok(())
}

/// Keys of the size that hidden states after a norm have.
fn keys(entries: usize, width: usize) -> Vec<f16> {
    (0..entries * width)
        .map(|at| f16::from_f32((random::unit(1, 0, at as u64) * 4.0 - 2.0) as f32))
        .collect()
}
