//! Training speed: candle's autograd as it comes beside the fused operations, in one run.
//!
//! `cargo bench --bench training` (or `-- --seconds 30` for a longer measurement).

use std::time::Instant;

use candle_core::Device;
use tiller::learn::base::BaseArgs;
use tiller::learn::base::gradients::Workers;
use tiller::learn::base::optimizer::{AdamW, StepSize};
use tiller::learn::base::packing::Epoch;
use tiller::learn::network::{Network, Operations};
use tiller::learn::random::Draws;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments
        .iter()
        .position(|a| a == "--seconds")
        .and_then(|i| arguments.get(i + 1)?.parse().ok())
        .unwrap_or(10.0);
    let args = BaseArgs::new(Vec::new(), std::env::temp_dir());
    let shape = args.shape(args.vocab);
    println!(
        "{} parameters: hidden {}, {} layers, FFN {}, vocabulary {}; batch {} x {}; {} threads",
        shape.parameter_count(),
        shape.hidden_size,
        shape.layers,
        shape.intermediate_size,
        shape.vocab_size,
        args.batch,
        args.sequence,
        rayon::current_num_threads()
    );
    // One document per sequence: the whole causal triangle is computed.
    let mut draws = Draws::new(1, 0);
    let documents: Vec<Vec<u32>> = (0..args.batch)
        .map(|_| (0..=args.sequence).map(|_| draws.below(args.vocab) as u32).collect())
        .collect();
    let batch = Epoch::new(&documents, args.sequence, 1, 0).batch(0, args.batch);
    let tokens = batch.ids.len() as f64;

    println!("{:<28}{:>14}{:>16}", "", "s per step", "tokens/s");
    let mut rates = Vec::new();
    let threads = rayon::current_num_threads();
    for (name, operations, workers) in [
        ("candle as it comes", Operations::Plain, 1),
        ("fused operations", Operations::Fused, 1),
        ("fused, a worker a thread", Operations::Fused, threads),
    ] {
        let workers = Workers::new(workers)?;
        let mut network = Network::fresh(shape.clone(), 1, &Device::Cpu)?;
        network.operations = operations;
        let mut optimizer = AdamW::fresh(&network)?;
        let mut step = || -> anyhow::Result<f64> {
            let begun = Instant::now();
            let (_, grads) = workers.compute(&network, &batch)?;
            optimizer.step(&network, &grads, &StepSize::default())?;
            Ok(begun.elapsed().as_secs_f64())
        };
        step()?;
        let begun = Instant::now();
        let mut times = Vec::new();
        while times.len() < 3 || begun.elapsed().as_secs_f64() < seconds {
            times.push(step()?);
        }
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{name:<28}{median:>14.3}{:>16.0}", tokens / median);
        rates.push(tokens / median);
    }
    for rate in &rates[1..] {
        println!("{:<28}{:>14}{:>15.1}x", "over candle as it comes", "", rate / rates[0]);
    }
    Ok(())
}
