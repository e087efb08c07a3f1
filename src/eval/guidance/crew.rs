//! Several replies at once: every worker has models of its own and takes the next prompt.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use crossbeam_channel::bounded;

use super::arguments::GuidanceArgs;
use super::bench::Bench;
use super::kept::Said;
use super::system::System;
use super::task::Prompt;
use crate::eval::reward::decoding::diversity;

/// A reply that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub number: usize,
    pub seed: u64,
}

/// Has the replies made, and hands each on as it is there.
///
/// # Errors
/// The first that a worker or `take` met.
pub fn replies(
    benches: &mut [Bench],
    system: System,
    wanted: &[Wanted],
    prompts: &[Prompt],
    args: &GuidanceArgs,
    mut take: impl FnMut(Said) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Dropped before the workers are waited for: one that cannot hand on its reply ends.
        let (send, receive) = bounded(benches.len());
        for bench in benches {
            let (next, send) = (&next, send.clone());
            let worker = std::thread::Builder::new().name("tiller-eval".to_owned());
            let speak = move || {
                while let Some(one) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = reply(bench, system, *one, &prompts[one.number], args);
                    let failed = said.is_err();
                    if send.send(said).is_err() || failed {
                        break;
                    }
                }
            };
            worker.spawn_scoped(scope, speak).context("a worker cannot be started")?;
        }
        drop(send);
        for _ in wanted {
            receive.recv().context("a worker ended early")?.and_then(&mut take)?;
        }
        Ok(())
    })
}

fn reply(
    bench: &mut Bench,
    system: System,
    wanted: Wanted,
    prompt: &Prompt,
    args: &GuidanceArgs,
) -> Result<Said> {
    let Wanted { number, seed } = wanted;
    let spoken = bench.reply(system, prompt, number as u64, seed, args)?;
    Ok(Said {
        system: system.name(args),
        number,
        prompt: prompt.whole(),
        seed,
        tokens: spoken.ids.len(),
        diversity: diversity(&spoken.ids),
        text: spoken.text,
        seconds: spoken.seconds,
        base_rows: spoken.base_rows,
        other_rows: spoken.other_rows,
    })
}
