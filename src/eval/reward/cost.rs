//! What decoding by reward costs beyond plain decoding, by an inserted stream and by a model of its
//! own, in bytes and in seconds per token (spec section 10).

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::decoding::{self, Guide, Settings};
use crate::model::decoder::DecoderSpec;
use crate::model::reward::{Adapter, Precision};
use crate::model::scorer::Scorer;
use crate::model::{ModelFacts, Runner};

/// Positions that keys and values are counted for.
const POSITIONS: u64 = 512;

/// Extra bytes and seconds of both ways.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of the base, alone: weights, and keys and values of one row.
    pub base_bytes: u64,
    /// What a reward model of its own adds, and what the adapter adds.
    pub separate_bytes: u64,
    pub stream_bytes: u64,
    /// Seconds per token: plain, plain over as many rows as candidates, with the separate model,
    /// with the stream, and the stream without candidates (as it shows rewards).
    pub plain: f64,
    pub rows: f64,
    pub separate: f64,
    pub stream: f64,
    pub shown: f64,
}

impl Cost {
    /// 1 - (M_otter - M_base) / (M_separate - M_base).
    pub fn space_saved(&self) -> f64 {
        1.0 - self.stream_bytes as f64 / self.separate_bytes.max(1) as f64
    }

    /// 1 - (t_otter - t_base) / (t_separate - t_base), the base as it decodes plainly.
    pub fn time_saved(&self) -> f64 {
        1.0 - (self.stream - self.plain) / (self.separate - self.plain)
    }

    /// The same with candidate rows counted to the base on both sides: what the inserted stream
    /// itself adds, against what the separate model itself adds.
    pub fn time_saved_at_equal_width(&self) -> f64 {
        1.0 - (self.stream - self.rows) / (self.separate - self.plain)
    }

    /// Lines for the report.
    pub fn lines(&self) -> Vec<String> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let milliseconds = |seconds: f64| 1e3 * seconds;
        vec![
            format!(
                "space: base {:.1} MB, separate model {:.1} MB more, adapter {:.1} MB more; {:.1} % \
                 saved",
                megabytes(self.base_bytes),
                megabytes(self.separate_bytes),
                megabytes(self.stream_bytes),
                100.0 * self.space_saved()
            ),
            format!(
                "time per token: plain {:.2} ms, rewards shown {:.2} ms ({:+.1} %), candidate rows \
                 without rewards {:.2} ms, adapter {:.2} ms, separate model {:.2} ms; {:.1} % saved, \
                 {:.1} % where rows are counted to the base",
                milliseconds(self.plain),
                milliseconds(self.shown),
                100.0 * (self.shown / self.plain - 1.0),
                milliseconds(self.rows),
                milliseconds(self.stream),
                milliseconds(self.separate),
                100.0 * self.time_saved(),
                100.0 * self.time_saved_at_equal_width()
            ),
        ]
    }
}

/// Bytes of an adapter as it is held: matrices in its own type, the rest in f32, and keys and
/// values.
fn stream_bytes(adapter: &Adapter, spec: &DecoderSpec) -> Result<u64> {
    let shape = adapter.check_shapes(spec)?;
    let wide = |shape: &[usize]| match adapter.precision {
        Precision::F16 | Precision::BF16 if shape.len() == 2 => 2,
        _ => 4,
    };
    let weights: u64 = adapter
        .tensors
        .values()
        .map(|tensor| (tensor.values.len() * wide(&tensor.shape)) as u64)
        .sum();
    Ok(weights + POSITIONS * shape.cache_bytes_per_token())
}

fn model_bytes(facts: &ModelFacts, spec: &DecoderSpec) -> u64 {
    facts.weight_bytes + POSITIONS * spec.cache_bytes(1)
}

/// Measures both on some prompts, the ways taking turns so that a busy machine is fair to all.
///
/// # Errors
/// When a pass fails.
pub fn measure(
    runner: &mut dyn Runner,
    (facts, spec): (&ModelFacts, &DecoderSpec),
    scorer: &mut Scorer,
    adapter: &Adapter,
    prompts: &[Vec<u32>],
    settings: Settings<'_>,
) -> Result<Cost> {
    let mut seconds = [0.0; 5];
    let mut tokens = [0; 5];
    // The first prompt warms everything up and is not counted.
    for (number, prompt) in prompts.iter().take(1).chain(prompts).enumerate() {
        for way in 0..5 {
            let mut guide = match way {
                0 | 4 => Guide::Plain,
                1 => Guide::Rows,
                2 => Guide::Separate(&mut *scorer, 0.0),
                _ => Guide::Stream(0.0),
            };
            runner.insert((way >= 3).then_some(adapter))?;
            // No end: every way makes as many tokens.
            let whole = Settings { ends: &[], ..settings };
            let reply = decoding::reply(runner, &mut guide, prompt, whole)?;
            if number > 0 {
                seconds[way] += reply.seconds;
                tokens[way] += reply.ids.len();
            }
        }
    }
    let each = |way: usize| seconds[way] / tokens[way].max(1) as f64;
    Ok(Cost {
        base_bytes: model_bytes(facts, spec),
        separate_bytes: model_bytes(&scorer.facts, spec),
        stream_bytes: stream_bytes(adapter, spec)?,
        plain: each(0),
        rows: each(1),
        separate: each(2),
        stream: each(3),
        shown: each(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_by_the_definitions_of_the_paper() {
        let cost = Cost {
            base_bytes: 1000,
            separate_bytes: 1000,
            stream_bytes: 135,
            plain: 1.0,
            rows: 1.5,
            separate: 3.0,
            stream: 1.6,
            shown: 1.1,
        };
        assert!((cost.space_saved() - 0.865).abs() < 1e-12);
        assert!((cost.time_saved() - 0.7).abs() < 1e-12);
        assert!((cost.time_saved_at_equal_width() - 0.95).abs() < 1e-12);
        assert_eq!(cost.lines().len(), 2);
    }
}
