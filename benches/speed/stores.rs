//! What datastores cost: a plain step, and the same step with a store asked after it, in turn, in
//! one run; a graph over a million entries with its recall beside exact search; and a build's
//! passes beside a prefill's.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use half::f16;
use rayon::prelude::*;
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{Decoder, DecoderSpec};
use tiller::model::runner::{Runner, Wanted};
use tiller::model::weights::WeightForm;
use tiller::platform::random;
use tiller::steer::datastore::Reference;
use tiller::steer::datastore::approximate::{Index, Matrix};
use tiller::steer::datastore::build::CHUNK;
use tiller::steer::datastore::distribution::mix;
use tiller::steer::datastore::search::{Block, Neighbour, nearest};

use crate::checkpoint;
use crate::shape::Shape;

const PROMPT: usize = 256;
const STEPS: usize = 16;
const NEIGHBOURS: usize = 32;
/// Sizes of the stores, unless others are asked for.
pub const ENTRIES: [usize; 3] = [20_480, 200_000, 1_000_000];
/// Hidden states lie near a surface of far fewer dimensions than they have numbers; these do.
const DIMENSIONS: usize = 24;
/// Queries that recall is measured on.
const QUERIES: usize = 48;

/// How a store is asked.
enum Way {
    /// All keys, with so many heads.
    Exact(usize),
    /// A graph, with so many candidates.
    Graph(Index, usize),
}

pub fn print(shape: Shape, entries: &[usize], graph_from: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("random.gguf");
    checkpoint::write(&path, shape, GgmlDType::BF16)?;
    let checkpoint = Checkpoint::open(&path)?;
    let spec = DecoderSpec::from_config(&checkpoint.config)?;
    let length = PROMPT + 16 * STEPS;
    let form = WeightForm::Stored;
    let mut decoder =
        Decoder::load(&checkpoint, spec, &Device::Cpu, form, length, &mut |_, _| true)?;
    let ids: Vec<u32> = (0..PROMPT as u32).map(|at| at * 7).collect();
    let surface = surface(shape.hidden);
    let queries: Vec<Vec<f32>> =
        (0..QUERIES).map(|at| row(usize::MAX / 2 + at, &surface)).collect();
    println!(
        "{} shape, bf16, a datastore asked at every step; best and median of {STEPS}",
        shape.name
    );
    println!(
        "{:>9} {:>9} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7} {:>9}",
        "entries", "search", "plain ms", "asked ms", "ratio", "plain ms", "asked ms", "ratio", "MB"
    );
    for &entries in entries {
        let keys = Arc::new(Matrix { keys: keys(entries, &surface), width: shape.hidden });
        let blocks = [Block { first: 0, keys: &keys.keys }];
        let mut ways = vec![Way::Exact(1)];
        let mut said = String::new();
        if entries < graph_from {
            ways.push(Way::Exact(shape.heads));
        } else {
            let started = Instant::now();
            let mut index = Index::begin(keys.clone(), entries);
            while !index.grow(8192) {}
            let secs = started.elapsed().as_secs_f64();
            let exact: Vec<(Vec<f32>, Vec<Neighbour>)> = queries
                .iter()
                .map(|query| {
                    let found = nearest(&blocks, query, 1, NEIGHBOURS, &(0..0)).remove(0);
                    (query.clone(), found)
                })
                .collect();
            let (pool, recall) = index.measure(&exact);
            said = format!(
                "graph over {entries}: recall@{NEIGHBOURS} {recall:.3} against exact search on \
                 {QUERIES} queries, {pool} candidates; made in {secs:.0} s"
            );
            ways.push(Way::Graph(index, pool));
        }
        for way in &ways {
            decoder.truncate(0)?;
            decoder.prefill(&ids, Wanted::Last)?;
            let mut times = [Vec::new(), Vec::new()];
            for step in 0..2 * STEPS {
                let start = Instant::now();
                let output = decoder.step(&[step as u32])?;
                if step % 2 == 1 {
                    let query = &queries[step % QUERIES];
                    let found = match way {
                        Way::Exact(heads) => nearest(&blocks, query, *heads, NEIGHBOURS, &(0..0)),
                        Way::Graph(index, pool) => vec![index.nearest(query, NEIGHBOURS, *pool)],
                    };
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
            let name = match way {
                Way::Exact(1) => "exact".to_owned(),
                Way::Exact(heads) => format!("{heads} heads"),
                Way::Graph(..) => "graph".to_owned(),
            };
            print!("{entries:>9} {name:>9}");
            for (plain, asked) in plain.into_iter().zip(asked) {
                print!(" {:>10.2} {:>10.2} {:>7.3}", 1e3 * plain, 1e3 * asked, asked / plain);
            }
            println!(" {:>9.1}", (2 * entries * shape.hidden) as f64 / 1e6);
        }
        if !said.is_empty() {
            println!("{said}");
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

/// The directions of the surface, `[width]` of [`DIMENSIONS`] each.
fn surface(width: usize) -> Vec<[f32; DIMENSIONS]> {
    let along = |column: usize, at: usize| random::unit(2, at as u64, column as u64) as f32 - 0.5;
    (0..width).map(|column| std::array::from_fn(|at| along(column, at))).collect()
}

fn keys(entries: usize, surface: &[[f32; DIMENSIONS]]) -> Vec<f16> {
    let width = surface.len();
    let mut keys = vec![f16::ZERO; entries * width];
    keys.par_chunks_mut(width).enumerate().for_each(|(entry, key)| {
        for (half, value) in key.iter_mut().zip(row(entry, surface)) {
            *half = f16::from_f32(value);
        }
    });
    keys
}

/// A state of the size that hidden states after a norm have.
fn row(entry: usize, surface: &[[f32; DIMENSIONS]]) -> Vec<f32> {
    let place: [f32; DIMENSIONS] =
        std::array::from_fn(|at| random::normal(1, entry as u64, at as u64));
    let value = |(column, along): (usize, &[f32; DIMENSIONS])| {
        let noise = random::unit(3, entry as u64, column as u64) as f32 - 0.5;
        place.iter().zip(along).map(|(place, along)| place * along).sum::<f32>() + 0.2 * noise
    };
    surface.iter().enumerate().map(value).collect()
}
