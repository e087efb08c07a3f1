//! Guides and scorers that came with the model: one click takes a guide, with the scorer of its name
//! at hand for a search.

use std::path::PathBuf;

use egui::Ui;

use super::name_of;
use crate::model::{GuideFiles, ModelFacts};
use crate::steer::{GuidancePlan, GuidePair, ScorerChoice};
use crate::ui::controls::{self, Weight};

/// Draws a button for every guide that is not on the list.
pub fn offer_ui(ui: &mut Ui, model: &ModelFacts, guidance: &mut GuidancePlan) {
    for guide in &model.guides {
        let is_listed = guidance.pairs.iter().any(|held| held.is_same(&pair_of(guide)));
        if is_listed {
            continue;
        }
        let text = format!("Guide by {}", name_of(&guide.vector));
        let scorer = scorer_of(guide, &model.scorers);
        let more = if scorer.is_some() { "; the scorer of its name can rank a search" } else { "" };
        let hover = format!("It came with the model; acts on the next token at strength 1{more}");
        if controls::wide_button(ui, None, &text, Weight::Quiet).on_hover_text(hover).clicked() {
            take(guide, &model.scorers, guidance);
        }
    }
}

/// Puts a guide into play, and its scorer at hand unless another one is chosen.
fn take(guide: &GuideFiles, scorers: &[PathBuf], guidance: &mut GuidancePlan) {
    guidance.pairs.push(pair_of(guide));
    if guidance.search.scorer == ScorerChoice::None
        && let Some(path) = scorer_of(guide, scorers)
    {
        guidance.search.scorer = ScorerChoice::File(path.clone());
    }
}

fn pair_of(guide: &GuideFiles) -> GuidePair {
    GuidePair {
        tuned: None,
        untuned: Some(guide.untuned.clone()),
        vector: Some(guide.vector.clone()),
        beta: 1.0,
    }
}

/// The scorer for the same task has the same name.
fn scorer_of<'a>(guide: &GuideFiles, scorers: &'a [PathBuf]) -> Option<&'a PathBuf> {
    scorers.iter().find(|path| name_of(path) == name_of(&guide.vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_brings_its_scorer_unless_one_is_chosen() {
        let guide = GuideFiles {
            untuned: "m/guide".into(),
            vector: "m/guide/vectors/calm.safetensors".into(),
        };
        let scorers: Vec<PathBuf> =
            ["m/scorers/bold.safetensors", "m/scorers/calm.safetensors"].map(Into::into).into();
        let mut guidance = GuidancePlan::default();
        take(&guide, &scorers, &mut guidance);
        assert_eq!(guidance.pairs, [pair_of(&guide)]);
        assert_eq!(guidance.search.scorer, ScorerChoice::File(scorers[1].clone()));
        let mut chosen = GuidancePlan::default();
        chosen.search.scorer = ScorerChoice::File("own".into());
        take(&guide, &scorers, &mut chosen);
        assert_eq!(chosen.search.scorer, ScorerChoice::File("own".into()));
        let mut alone = GuidancePlan::default();
        take(&guide, &scorers[..1], &mut alone);
        assert_eq!(alone.search.scorer, ScorerChoice::None);
    }
}
