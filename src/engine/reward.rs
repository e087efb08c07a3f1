//! What gives rewards beside the model in memory, an adapter or a reward model of its own: put there
//! by a reply's plan, found again by a replay, read anew when its file has changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::decode::Passes;
use crate::decode::guide::shared_vocabulary;
use crate::model::scorer::Scorer;
use crate::model::{Loader, Model, Vocabulary};
use crate::platform::Problem;
use crate::steer::{Plan, RewardSetting};

/// The adapter a recipe was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeReward {
    pub name: String,
    pub path: PathBuf,
    pub fingerprint: String,
}

/// Size and time of change of a file.
pub(super) type Stamp = Option<(u64, SystemTime)>;

/// Which adapter stands beside the model.
#[derive(Debug, Default)]
pub struct Rewarder {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    recipe: RecipeReward,
    /// Size and time of change of the file when it was read.
    stamp: Stamp,
    deviation: Option<f32>,
    /// It has the expert and anti-expert heads.
    has_experts: bool,
    /// It has heads that draft tokens.
    drafts: bool,
}

impl Rewarder {
    /// Puts the adapter a plan names beside the model, or takes away one that it does not name.
    /// What the cache holds is forgotten when one is put there.
    ///
    /// # Errors
    /// When the file is no adapter or belongs to another model, and when decoding by one is asked
    /// for that has no unit of strength; what was there then stays.
    pub fn prepare(
        &mut self,
        setting: Option<&RewardSetting>,
        loader: &dyn Loader,
        model: &mut Model,
        passes: &mut Passes,
    ) -> Result<()> {
        let Some(setting) = setting else {
            if self.held.is_some() {
                model.runner.insert(None)?;
                model.runner.judge(None)?;
                self.held = None;
            }
            return Ok(());
        };
        let stamp = stamp(&setting.path);
        let is_held = |held: &Held| held.recipe.path == setting.path && held.stamp == stamp;
        if !self.held.as_ref().is_some_and(is_held) {
            self.held = Some(match setting.path.is_dir() {
                true => judge(setting, stamp, loader, model)?,
                false => insert(setting, stamp, loader, model)?,
            });
            *passes = Passes::default();
        }
        if setting.strength != 0.0 && self.unit().is_none() {
            let what = "the deviation of this adapter's rewards was never measured, so that a \
                        strength has no unit";
            let hint = "learn the adapter with `tiller learn reward`, or take strength 0";
            return Err(Problem::new(what).at(&setting.path).hint(hint).into());
        }
        let has_experts = self.held.as_ref().is_some_and(|held| held.has_experts);
        if setting.detox != 0.0 && !has_experts {
            let what = "this adapter has no expert and anti-expert heads to detoxify by";
            return Err(Problem::new(what).at(&setting.path).hint("take detox 0").into());
        }
        if setting.speculate && !self.held.as_ref().is_some_and(|held| held.drafts) {
            let what = "this adapter has no heads that draft tokens";
            let hint = "leave speculation out";
            return Err(Problem::new(what).at(&setting.path).hint(hint).into());
        }
        Ok(())
    }

    /// What one unit of strength is worth.
    pub fn unit(&self) -> Option<f32> {
        self.held.as_ref()?.deviation
    }

    /// A plan as a reply under way can follow it: another adapter waits for the next one.
    pub fn limited(&self, mut plan: Plan) -> Plan {
        let held = self.held.as_ref().map(|held| &held.recipe.path);
        plan.reward = plan.reward.filter(|setting| held == Some(&setting.path));
        plan
    }

    /// For the recipe of a reply made now.
    pub fn recipe(&self) -> Option<RecipeReward> {
        Some(self.held.as_ref()?.recipe.clone())
    }

    /// # Errors
    /// When what stands beside the model is not what a replayed reply was made with.
    pub fn check(&self, expected: Option<&RecipeReward>) -> Result<(), Problem> {
        let held = self.held.as_ref().map(|held| &held.recipe);
        match (expected, held) {
            (Some(expected), Some(held)) if expected.fingerprint != held.fingerprint => {
                let what =
                    format!("the adapter {} has changed since this reply was made", expected.name);
                Err(Problem::new(what).at(&held.path).hint("put the old file back"))
            }
            _ => Ok(()),
        }
    }
}

/// Puts an adapter's stream beside the layers.
fn insert(
    setting: &RewardSetting,
    stamp: Stamp,
    loader: &dyn Loader,
    model: &mut Model,
) -> Result<Held> {
    let adapter = loader.open_reward(&setting.path, &model.facts)?;
    model.runner.insert(Some(&adapter))?;
    let recipe = RecipeReward {
        name: adapter.facts.name.clone(),
        path: setting.path.clone(),
        fingerprint: adapter.fingerprint(),
    };
    let heads = adapter.heads();
    let (has_experts, drafts) = (heads.experts, heads.drafts > 0);
    let deviation = adapter.facts.deviation.map(|deviation| deviation.value);
    Ok(Held { recipe, stamp, deviation, has_experts, drafts })
}

/// # Errors
/// When a reward model reads other tokens than the model whose text it is to judge.
pub(super) fn same_tokens(own: &dyn Vocabulary, scorer: &Scorer, path: &Path) -> Result<()> {
    let Err(parting) = shared_vocabulary(own, scorer.language.vocabulary.as_ref()) else {
        return Ok(());
    };
    let what = format!(
        "this reward model reads other tokens than the model: {} is {:?} there and {:?} here",
        parting.id, parting.guide, parting.base
    );
    let hint = "take a reward model of the same tokenizer";
    Err(Problem::new(what).at(path).hint(hint).into())
}

/// Puts a reward model of its own beside the model. Nobody measured how far its scores spread, so a
/// strength is in logits per unit of score.
fn judge(
    setting: &RewardSetting,
    stamp: Stamp,
    loader: &dyn Loader,
    model: &mut Model,
) -> Result<Held> {
    let scorer = loader.open_judge(&setting.path, &model.facts)?;
    same_tokens(model.language.vocabulary.as_ref(), &scorer, &setting.path)?;
    let recipe = RecipeReward {
        name: scorer.facts.name.clone(),
        path: setting.path.clone(),
        fingerprint: scorer.facts.fingerprint.clone(),
    };
    model.runner.judge(Some(Box::new(scorer)))?;
    Ok(Held { recipe, stamp, deviation: Some(1.0), has_experts: false, drafts: false })
}

/// What a file or a model's folder is known again by.
pub(super) fn stamp(path: &Path) -> Stamp {
    // A folder's own times say nothing of what is written into its files.
    let path = if path.is_dir() { &path.join("config.json") } else { path };
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.len(), facts.modified().ok()?))
}
