//! Vectors that come with a model: those in a folder named `vectors` inside the model's own.

use std::path::{Path, PathBuf};

use super::is_vector;

/// The folder's name.
const FOLDER: &str = "vectors";

/// The vectors that lie beside a model's weights, by name. Only what is one is listed; a model in a
/// single file has none, for its folder may be that of many models.
pub fn beside(model: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(model.join(FOLDER)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| is_vector(path));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vector::file::{self, Precision};
    use crate::model::vector::{Facts, Vector};

    #[test]
    fn what_lies_in_the_folder_and_is_a_vector_is_listed_by_name() {
        let model = tempfile::tempdir().unwrap();
        assert_eq!(beside(model.path()), Vec::<PathBuf>::new());
        let folder = model.path().join(FOLDER);
        std::fs::create_dir_all(folder.join("adapter")).unwrap();
        std::fs::write(folder.join("adapter/adapter_config.json"), "{}").unwrap();
        std::fs::write(folder.join("README.md"), "three domains").unwrap();
        std::fs::write(folder.join("half.safetensors"), "cut sho").unwrap();
        for name in ["medical", "legal"] {
            let path = folder.join(name).with_extension("safetensors");
            file::write(&path, &Vector::default(), &Facts::default(), Precision::F32).unwrap();
        }
        let names = ["adapter", "legal.safetensors", "medical.safetensors"];
        assert_eq!(beside(model.path()), names.map(|name| folder.join(name)));
        assert!(beside(&folder.join("README.md")).is_empty());
    }
}
