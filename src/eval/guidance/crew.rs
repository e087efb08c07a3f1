//! Several replies at once: every worker has models of its own and takes the next prompt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Result, anyhow};

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
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for bench in benches {
            let (next, send) = (&next, send.clone());
            scope.spawn(move || {
                while let Some(one) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = reply(bench, system, *one, &prompts[one.number], args);
                    let failed = said.is_err();
                    if send.send(said).is_err() || failed {
                        break;
                    }
                }
            });
        }
        drop(send);
        for _ in wanted {
            let said = receive.recv().map_err(|_| anyhow!("a worker ended early"))?;
            if let Err(error) = said.and_then(&mut take) {
                // The others end with the reply they are at.
                next.store(wanted.len(), Ordering::Relaxed);
                return Err(error);
            }
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
