//! The scorer of a reply: a head on its trunk, the adapter beside a twin of the model that speaks,
//! or a reward model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;

use super::{Cast, GuideShelf, Scene, name_of, side, twin};
use crate::decode::guide::{Judgement, PrefixScorer, ValueHandle, shared_vocabulary};
use crate::model::value::{Pooling, ValueHead};
use crate::model::{Model, ModelFacts, ScorerFile};
use crate::platform::Problem;

impl GuideShelf {
    /// Where the model lies that is to be loaded for a scorer: the scorer itself, or what its file
    /// names; the base where it is that. `None` for what is loaded with its file.
    pub(super) fn trunk_of(&self, scorer: &Path, base: &ModelFacts) -> Option<PathBuf> {
        match self.scorers.get(scorer)? {
            ScorerFile::Head(head) => Some(match head.trunk() {
                None => scorer.to_path_buf(),
                Some(facts) if facts.trunk_fingerprint == base.fingerprint => base.path.clone(),
                Some(facts) => facts.trunk_path.clone(),
            }),
            ScorerFile::Adapter(_) | ScorerFile::Model { .. } => None,
        }
    }

    /// Puts the scorer of a reply together.
    ///
    /// # Errors
    /// When its trunk is not the one it was made with, or cannot be used.
    pub(super) fn value(
        &self,
        path: &Path,
        scene: &Scene<'_>,
        cast: &mut Cast,
    ) -> Result<ValueHandle> {
        let file = self.scorers.get(path).context("the scorer is not read")?;
        let (trunk, judgement): (&Model, Judgement) = match file {
            ScorerFile::Head(head) => {
                let at = self.trunk_of(path, &scene.base.facts).unwrap_or_default();
                let trunk = self.model(&at, scene)?;
                check(head, trunk, path)?;
                (trunk, head.clone().into())
            }
            ScorerFile::Adapter(_) => (scene.base, Judgement::Stream),
            ScorerFile::Model { model, bias } => (model, Judgement::Logit(*bias)),
        };
        let mut runner = twin(trunk)?;
        if let ScorerFile::Adapter(adapter) = file {
            runner.insert(Some(adapter))?;
        }
        let base = scene.base.language.vocabulary.as_ref();
        let shared = shared_vocabulary(base, trunk.language.vocabulary.as_ref()).unwrap_or(0);
        let shared_ids = shared.min(scene.base.runner.vocab_size());
        // A mean over the reply begins where the reply does.
        let pools = matches!(file, ScorerFile::Head(head) if head.pooling() == Pooling::Mean);
        let opening = if pools { 0 } else { scene.opening.len() };
        let side = side(runner, trunk, shared_ids > 0, scene, opening, cast)?;
        let made = PrefixScorer::new(name_of(path), side, judgement, shared_ids);
        cast.room = cast.room.min(made.room());
        Ok(Arc::new(Mutex::new(made)))
    }
}

/// A head reads the model it was made with and no other.
fn check(head: &ValueHead, trunk: &Model, path: &Path) -> Result<()> {
    if let Some(made_for) = head.trunk()
        && made_for.trunk_fingerprint != trunk.facts.fingerprint
    {
        let what = format!(
            "this scorer was made with {} ({}), and {} ({}) lies there now",
            made_for.trunk_name,
            made_for.trunk_fingerprint,
            trunk.facts.name,
            trunk.facts.fingerprint
        );
        return Err(Problem::new(what).at(path).hint("train it again on that model").into());
    }
    if head.width() != trunk.runner.hidden_size() {
        let (width, hidden) = (head.width(), trunk.runner.hidden_size());
        let what = format!("its score head reads {width} numbers and the model gives {hidden}");
        return Err(Problem::new(what).at(path).into());
    }
    Ok(())
}
