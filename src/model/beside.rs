//! What comes with a model: vectors in a folder named `vectors` inside the model's own, reward
//! adapters in one named `rewards`, prefix scorers in `scorers`, and in `guide` a small model whose
//! own vectors tune it.

use std::path::{Path, PathBuf};

use super::decoder::DecoderSpec;
use super::facts::RewardMemory;
use super::{GuideFiles, reward, value, vector};

/// The vectors that lie beside a model's weights, by name. Only what is one is listed; a model in a
/// single file has none, for its folder may be that of many models.
pub fn vectors(model: &Path) -> Vec<PathBuf> {
    listed(&model.join("vectors"), vector::is_vector)
}

/// The reward adapters that lie beside a model's weights, in the same way.
pub fn rewards(model: &Path) -> Vec<PathBuf> {
    listed(&model.join("rewards"), reward::file::is_adapter)
}

/// What those adapters would take beside a model like this; one that does not fit it is left out.
pub fn reward_memory(adapters: &[PathBuf], spec: &DecoderSpec) -> Vec<RewardMemory> {
    let one = |path: &PathBuf| {
        let about = reward::file::read_about(path).ok()?;
        let shape = reward::Shape::new(&about.facts, about.heads, spec).ok()?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = if about.facts.name.is_empty() { &file } else { about.facts.name.as_str() };
        Some(RewardMemory {
            name: name.to_owned(),
            weight_bytes: about.bytes,
            cache_bytes_per_token: shape.cache_bytes_per_token(),
        })
    };
    adapters.iter().filter_map(one).collect()
}

/// The scorers that lie beside a model's weights, in the same way: heads, and reward adapters that
/// are there to rank.
pub fn scorers(model: &Path) -> Vec<PathBuf> {
    listed(&model.join("scorers"), |path| value::is_head(path) || reward::file::is_adapter(path))
}

/// The small model beside a model's weights, once for each vector that tunes it.
pub fn guides(model: &Path) -> Vec<GuideFiles> {
    let untuned = model.join("guide");
    if !untuned.join("config.json").is_file() {
        return Vec::new();
    }
    let pair = |vector| GuideFiles { untuned: untuned.clone(), vector };
    vectors(&untuned).into_iter().map(pair).collect()
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
    use crate::model::checkpoint::Checkpoint;
    use crate::model::load::{outlook, outlook_of};
    use crate::model::reward::Adapter;
    use crate::model::reward::{Facts as RewardFacts, Heads, Shape, Sizes};
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

    #[test]
    fn what_an_adapter_would_take_is_known_before_anything_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families/llama");
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(golden.join(name), folder.path().join(name)).unwrap();
        }
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert!(outlook(&checkpoint).unwrap().facts.reward_memory.is_empty());
        let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
        let sizes = Sizes::one_in(4, &spec);
        let facts = RewardFacts { name: "civil".into(), sizes, ..RewardFacts::default() };
        let shape = Shape::new(&facts, Heads::default(), &spec).unwrap();
        let tensors = shape.tensors().into_iter().map(|tensor| {
            let values = vec![0.5; tensor.shape.iter().product()];
            (tensor.name, reward::Values { shape: tensor.shape, values })
        });
        let adapter =
            Adapter { tensors: tensors.collect(), facts: facts.clone(), ..Adapter::default() };
        std::fs::create_dir(folder.path().join("rewards")).unwrap();
        let path = folder.path().join("rewards/civil.safetensors");
        reward::file::write(&path, &adapter).unwrap();
        // One of another shape beside it is passed over here, and refused by name when it is shown.
        let other = RewardFacts { sizes: Sizes { width: 4096, ..sizes }, ..facts };
        let path = folder.path().join("rewards/other.safetensors");
        reward::file::write(&path, &Adapter { facts: other, ..Adapter::default() }).unwrap();
        let found = outlook_of(&checkpoint, spec.clone()).unwrap().facts.reward_memory;
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((one.name.as_str(), one.weight_bytes), ("civil", 4 * shape.parameter_count()));
        assert_eq!(one.cache_bytes_per_token, shape.cache_bytes_per_token());
        let cache = 100 * shape.cache_bytes_per_token();
        assert_eq!(one.bytes(100), 4 * shape.parameter_count() + cache);
    }

    #[test]
    fn a_guide_is_listed_once_for_each_vector_that_tunes_it() {
        let model = tempfile::tempdir().unwrap();
        let guide = model.path().join("guide");
        for folder in [guide.join("vectors"), model.path().join("scorers")] {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("half.safetensors"), "cut sho").unwrap();
        }
        for name in ["sentiment", "expertise"] {
            let path = guide.join("vectors").join(name).with_extension("safetensors");
            let (vector, facts) = (Vector::default(), Facts::default());
            vector::file::write(&path, &vector, &facts, Precision::F32).unwrap();
            let path = model.path().join("scorers").join(name).with_extension("safetensors");
            let head = value::ValueHead::scalar(vec![0.5, -1.0]);
            value::write(&path, &head, &value::HeadFacts::default()).unwrap();
        }
        assert_eq!(guides(model.path()), [], "vectors of no model guide nothing");
        std::fs::write(guide.join("config.json"), "{}").unwrap();
        let names = ["expertise.safetensors", "sentiment.safetensors"];
        let pair = |name: &str| GuideFiles {
            untuned: guide.clone(),
            vector: guide.join("vectors").join(name),
        };
        assert_eq!(guides(model.path()), names.map(pair));
        assert_eq!(
            scorers(model.path()),
            names.map(|name| model.path().join("scorers").join(name))
        );
    }
}
