//! Guides and scorers of the plan, and the tree of candidates.

use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::app::window::tree::TreeOrigin;
use crate::engine::Opening;
use crate::session::TokenTrace;
use crate::steer::{GuidePair, ScorerChoice};
use crate::ui::guidance::{Part, export, layout, picture};

impl Window {
    /// Puts a guide or a scorer into the plan.
    pub(super) fn add_guide(&mut self, part: Part, chosen: &Path) {
        let path = model_of(part, chosen);
        let mut plan = self.chat.plan.clone();
        let guidance = &mut plan.guidance;
        // Off until it is turned up: nothing changes unasked.
        let untuned = guidance.pairs.first().and_then(|pair| pair.untuned.clone());
        let fresh = GuidePair { tuned: None, untuned, vector: None, beta: 0.0 };
        let pair = match part {
            Part::Tuned => Some(GuidePair { tuned: Some(path.clone()), ..fresh }),
            Part::Vector => Some(GuidePair { vector: Some(path.clone()), ..fresh }),
            Part::Untuned => {
                guidance.pairs.iter_mut().for_each(|pair| pair.untuned = Some(path.clone()));
                None
            }
            Part::Scorer => {
                guidance.search.scorer = ScorerChoice::File(path.clone());
                None
            }
        };
        if let Some(pair) = pair {
            if guidance.pairs.iter().any(|held| held.is_same(&pair)) {
                self.panels.toasts.info("This guide is on the list already");
                return;
            }
            guidance.pairs.push(pair);
        }
        self.set_plan(plan);
    }

    /// Another version of the reply: the path to a candidate, kept or pruned, and then generated.
    pub(super) fn continue_from_candidate(&mut self, node: usize) {
        if !self.can_reply() {
            self.panels.toasts.warn("Stop the reply first, then go on from a candidate");
            return;
        }
        let Some(origin) = self.tree_origin() else { return };
        let TreeOrigin { parent, mut content, mut tokens } = origin;
        let path = layout::path_to(self.boundaries(), node);
        // A tree that was kept has texts and ids, but no traces.
        let without_traces = path.iter().any(|branch| branch.tokens.len() < branch.ids.len());
        if without_traces {
            content.extend(path.iter().map(|branch| branch.text.as_str()));
            self.begin_reply(parent, Opening::Text(content.clone()), content, Vec::new());
            return;
        }
        let by_text = tokens.is_empty() && !content.is_empty();
        let drawn = path.iter().flat_map(|branch| &branch.tokens);
        let drawn: Vec<TokenTrace> = drawn.map(|token| TokenTrace::clone(token)).collect();
        content.extend(drawn.iter().map(|token| token.text.as_str()));
        tokens.extend(drawn);
        if by_text {
            self.begin_reply(parent, Opening::Text(content.clone()), content, Vec::new());
        } else {
            let ids = tokens.iter().map(|token| token.id).collect();
            self.begin_reply(parent, Opening::Tokens(ids), content, tokens);
        }
    }

    /// Writes the tree where the person said, as what the name says.
    pub(in crate::app::window) fn write_tree(&mut self, path: PathBuf) {
        let boundaries = self.boundaries().to_vec();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let make = move || match extension.as_deref() {
            Some("json") => Ok(export::as_json(&boundaries).into_bytes()),
            Some("png") => picture::as_png(&boundaries),
            _ => Ok(export::as_svg(&boundaries).into_bytes()),
        };
        if let Err(error) = self.jobs.write(path, make) {
            self.panels.toasts.error(format!("The tree cannot be written: {error}"));
        }
    }
}

/// A file of a model's folder stands for the folder, one of an adapter's too.
fn model_of(part: Part, chosen: &Path) -> PathBuf {
    let name = chosen.file_name().unwrap_or_default();
    let stands_for_folder = match part {
        Part::Vector => name == "adapter_config.json" || name == "adapter_model.safetensors",
        // A head or an adapter is a file by itself; weights are called model….safetensors.
        Part::Scorer => {
            let is_weights = name.to_string_lossy().starts_with("model");
            name == "config.json" || is_weights && has_extension(chosen, "safetensors")
        }
        _ => name == "config.json" || has_extension(chosen, "safetensors"),
    };
    match chosen.parent() {
        Some(folder) if stands_for_folder => folder.to_path_buf(),
        _ => chosen.to_path_buf(),
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder_stand_for_it() {
        for (part, chosen, is) in [
            (Part::Tuned, "/m/guide/config.json", "/m/guide"),
            (Part::Scorer, "/m/value/model.safetensors", "/m/value"),
            (Part::Scorer, "/m/value/config.json", "/m/value"),
            (Part::Scorer, "/m/scorers/sentiment.safetensors", "/m/scorers/sentiment.safetensors"),
            (Part::Untuned, "/m/guide.gguf", "/m/guide.gguf"),
            (Part::Vector, "/v/calm.safetensors", "/v/calm.safetensors"),
            (Part::Vector, "/v/calm/adapter_config.json", "/v/calm"),
        ] {
            assert_eq!(model_of(part, Path::new(chosen)), Path::new(is));
        }
    }
}
