//! The unit of strength: how far rewards spread over the candidates of one step, measured on
//! prefixes of held-out answers (spec section 9.1).

use anyhow::Result;

use super::stream::Stream;
use super::texts::{Lesson, Text};
use crate::learn::random::Draws;
use crate::model::reward::Deviation;

/// Candidates of a step.
const CANDIDATES: usize = 10;
/// Prefixes looked at.
const PREFIXES: usize = 48;
/// Passes over whole texts that measuring takes at most.
pub const PASSES: usize = PREFIXES * (CANDIDATES + 1);

/// The root of the mean variance of the candidates' rewards; `None` when there is no spread at all.
///
/// # Errors
/// When a pass fails or `go_on` does.
pub fn measure(
    stream: &Stream,
    texts: &[Text],
    lessons: &[Lesson],
    seed: u64,
    mut go_on: impl FnMut() -> Result<()>,
) -> Result<Option<Deviation>> {
    let mut draws = Draws::new(seed, 0x7370_7265_6164);
    // Of a pair the better answer: what is decoded should look like it.
    let mut numbers: Vec<usize> = lessons.iter().map(|lesson| lesson.texts()[0]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    draws.shuffle(&mut numbers);
    numbers.truncate(PREFIXES);
    let mut variances = Vec::new();
    for number in numbers {
        go_on()?;
        let Text { ids, answer } = &texts[number];
        let prefix = &ids[..answer + draws.below(ids.len() - answer)];
        let logits = stream.records.logits(prefix)?;
        let mut candidates: Vec<u32> = (0..logits.len() as u32).collect();
        candidates.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        candidates.truncate(CANDIDATES);
        let extended: Vec<Vec<u32>> =
            candidates.iter().map(|id| prefix.iter().copied().chain([*id]).collect()).collect();
        let rewards: Vec<f64> = stream.of_ids(&extended)?.into_iter().map(f64::from).collect();
        let count = rewards.len().max(1) as f64;
        let mean = rewards.iter().sum::<f64>() / count;
        variances.push(rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count);
    }
    let mean = variances.iter().sum::<f64>() / variances.len().max(1) as f64;
    let value = mean.sqrt() as f32;
    let found = value.is_finite() && value > 0.0;
    let (candidates, prefixes) = (CANDIDATES, variances.len());
    Ok(found.then_some(Deviation { value, candidates, prefixes }))
}
