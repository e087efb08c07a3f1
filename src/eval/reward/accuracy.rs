//! How often a judge of texts puts the better answer of a held-out pair first.

use anyhow::Result;

use crate::learn::reward::objective;
use crate::learn::reward::texts::{Lesson, Lessons};
use crate::model::scorer::Scorer;
use crate::model::{Runner, Wanted};

/// Whatever gives a text one reward.
pub trait Judge {
    /// The reward at the last id.
    ///
    /// # Errors
    /// When a pass fails.
    fn judge(&mut self, ids: &[u32]) -> Result<f32>;
}

impl Judge for Scorer {
    fn judge(&mut self, ids: &[u32]) -> Result<f32> {
        self.reward(ids)
    }
}

/// A base with an adapter beside it.
pub struct Beside<'a>(pub &'a mut dyn Runner);

impl Judge for Beside<'_> {
    fn judge(&mut self, ids: &[u32]) -> Result<f32> {
        self.0.truncate(0)?;
        let output = self.0.prefill(ids, Wanted::Last)?;
        Ok(output.reward.first().copied().unwrap_or(f32::NAN))
    }
}

/// Held-out pairs with their texts.
pub struct HeldOut {
    pub lessons: Lessons,
    pub pairs: Vec<Lesson>,
}

/// Share of the pairs in the right order where they part: at the first token that differs, which is
/// where decoding has to choose. Ties count half; pairs that part at their ends are passed over.
///
/// # Errors
/// When a pass fails.
pub fn where_they_part(judge: &mut impl Judge, held_out: &HeldOut) -> Result<f64> {
    let (mut right, mut all) = (0.0, 0.0_f64);
    for lesson in &held_out.pairs {
        let Lesson::Pair(pair) = lesson else { continue };
        let texts = pair.map(|text| &held_out.lessons.texts[text]);
        let Some([one, other]) = objective::aligned(texts, 1).first().copied() else { continue };
        let better = judge.judge(&texts[0].ids[..=one])?;
        let worse = judge.judge(&texts[1].ids[..=other])?;
        all += 1.0;
        right += order(better - worse);
    }
    Ok(right / all.max(1.0))
}

/// 1 for the right order, a half for a tie.
fn order(margin: f32) -> f64 {
    match margin {
        margin if margin > 0.0 => 1.0,
        0.0 => 0.5,
        _ => 0.0,
    }
}

/// Share of the pairs in the right order; ties count half. Every text is judged once.
///
/// # Errors
/// When a pass fails.
pub fn of_pairs(judge: &mut impl Judge, held_out: &HeldOut) -> Result<f64> {
    let HeldOut { lessons, pairs } = held_out;
    let mut known: Vec<Option<f32>> = vec![None; lessons.texts.len()];
    let (mut right, mut all) = (0.0, 0.0_f64);
    for lesson in pairs {
        let Lesson::Pair(pair) = lesson else { continue };
        let mut rewards = [0.0; 2];
        for (number, reward) in pair.iter().zip(&mut rewards) {
            *reward = match known[*number] {
                Some(reward) => reward,
                None => judge.judge(&lessons.texts[*number].ids)?,
            };
            known[*number] = Some(*reward);
        }
        all += 1.0;
        right += order(rewards[0] - rewards[1]);
    }
    Ok(right / all.max(1.0))
}
