//! What comes with a model: vectors in a folder named `vectors` inside the model's own, reward
//! adapters in one named `rewards`.

use std::path::{Path, PathBuf};

use super::{reward, vector};

/// The vectors that lie beside a model's weights, by name. Only what is one is listed; a model in a
/// single file has none, for its folder may be that of many models.
pub fn vectors(model: &Path) -> Vec<PathBuf> {
    listed(&model.join("vectors"), vector::is_vector)
}

/// The reward adapters that lie beside a model's weights, in the same way.
pub fn rewards(model: &Path) -> Vec<PathBuf> {
    listed(&model.join("rewards"), reward::file::is_adapter)
}

fn listed(folder: &Path, is_one: fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| is_one(path));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reward::Adapter;
    use crate::model::vector::file::Precision;
    use crate::model::vector::{Facts, Vector};

    #[test]
    fn what_lies_in_the_folders_and_is_one_is_listed_by_name() {
        let model = tempfile::tempdir().unwrap();
        assert_eq!(vectors(model.path()), Vec::<PathBuf>::new());
        assert_eq!(rewards(model.path()), Vec::<PathBuf>::new());
        for folder in ["vectors", "rewards"] {
            let folder = model.path().join(folder);
            std::fs::create_dir_all(folder.join("adapter")).unwrap();
            std::fs::write(folder.join("adapter/adapter_config.json"), "{}").unwrap();
            std::fs::write(folder.join("README.md"), "three domains").unwrap();
            std::fs::write(folder.join("half.safetensors"), "cut sho").unwrap();
            for name in ["medical", "legal"] {
                let path = folder.join(name).with_extension("safetensors");
                let (vector, facts) = (Vector::default(), Facts::default());
                vector::file::write(&path, &vector, &facts, Precision::F32).unwrap();
            }
            for name in ["kind", "civil"] {
                let path = folder.join(name).with_extension("safetensors");
                reward::file::write(&path, &Adapter::default()).unwrap();
            }
        }
        let folder = model.path().join("vectors");
        let names = ["adapter", "legal.safetensors", "medical.safetensors"];
        assert_eq!(vectors(model.path()), names.map(|name| folder.join(name)));
        assert!(vectors(&folder.join("README.md")).is_empty());
        let folder = model.path().join("rewards");
        let names = ["civil.safetensors", "kind.safetensors"];
        assert_eq!(rewards(model.path()), names.map(|name| folder.join(name)));
        assert!(rewards(&folder.join("README.md")).is_empty());
    }
}
