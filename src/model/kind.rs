//! What a path that was handed to the program holds, by a look at names and headers: a model, an
//! alignment vector, a reward adapter or a reward model.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::scorer::is_scorer;
use super::{reward, vector};

/// What a file or a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// One of our files, a LoRA adapter's folder, or a file out of one.
    Vector,
    /// A reward adapter's file.
    Reward,
    /// The folder of a reward model of its own.
    Judge,
    /// Anything else: opening it as a model says what is wrong with it.
    Model,
}

impl FileKind {
    /// Looks at a path. Reads no more than a file's header.
    pub fn of(path: &Path) -> Self {
        let is_checkpoint = path.join("config.json").is_file();
        let is_adapter = vector::is_of_adapter(path)
            || (path.is_dir() && !is_checkpoint && vector::holds_adapter(path));
        if is_adapter || vector::is_vector(path) {
            Self::Vector
        } else if reward::file::is_adapter(path) {
            Self::Reward
        } else if is_checkpoint && Checkpoint::open(path).is_ok_and(|found| is_scorer(&found)) {
            Self::Judge
        } else {
            Self::Model
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vector::file::{self, Precision};
    use crate::model::vector::{Facts, Vector};

    #[test]
    fn vectors_and_adapters_are_told_from_models_and_from_rewards() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        file::write(&at("a.safetensors"), &Vector::default(), &Facts::default(), Precision::F32)
            .unwrap();
        reward::file::write(&at("civil.safetensors"), &reward::Adapter::default()).unwrap();
        for (name, text) in [
            ("model/config.json", "{}"),
            ("model/adapters/one/adapter_config.json", "{}"),
            ("calm/adapter_config.json", "{}"),
            ("checkpoints/calm/adapter_config.json", "{}"),
            ("notes.safetensors", "no tensors"),
            ("weights.gguf", "GGUF"),
        ] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        }
        for name in ["a.safetensors", "calm", "calm/adapter_config.json", "checkpoints"] {
            assert_eq!(FileKind::of(&at(name)), FileKind::Vector, "{name}");
        }
        assert_eq!(FileKind::of(&at("civil.safetensors")), FileKind::Reward);
        let judge = crate::model::scorer::tests::judge("llama", "score", 1, false);
        assert_eq!(FileKind::of(judge.path()), FileKind::Judge);
        for name in ["model", "notes.safetensors", "weights.gguf", "nowhere"] {
            assert_eq!(FileKind::of(&at(name)), FileKind::Model, "{name}");
        }
    }
}
