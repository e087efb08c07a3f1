//! A PEFT LoRA folder read as an alignment vector, as it is: `adapter_config.json` and
//! `adapter_model.safetensors`.
//!
//! Everything is added in the linear's own orientation (`[out, in]`), so `fan_in_fan_out` changes
//! nothing here; a merge turns the product round where the base stores it the other way.

mod config;
mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use self::config::AdapterConfig;
use self::keys::{Role, route};
use super::values::widen;
use super::{Facts, Kind, Part, Vector};
use crate::model::checkpoint::{HeaderEntry, MappedFile, read_header_and_metadata};
use crate::platform::Problem;

pub(super) const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// True for a file that stands for the adapter's folder it lies in.
pub fn is_of_adapter(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == CONFIG || name == WEIGHTS)
}

/// True for a folder with an adapter in it, or with sub-folders of adapters.
pub fn holds_adapter(folder: &Path) -> bool {
    !matches!(find(folder), Ok(None))
}

/// The folder that holds the adapter: the one given, or its only sub-folder with one (PEFT writes
/// adapters of other names than `default` into sub-folders). `None` when there is none.
pub(super) fn find(folder: &Path) -> Result<Option<PathBuf>> {
    if folder.join(CONFIG).is_file() {
        return Ok(Some(folder.to_path_buf()));
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(CONFIG).is_file())
        .collect();
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> = found
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        let what = format!("the folder holds several adapters: {}", names.join(", "));
        return Err(Problem::new(what).at(folder).hint("give the folder of one of them").into());
    }
    Ok(found.pop())
}

/// The two factors of one module, as they come in.
#[derive(Default)]
struct Pair {
    /// The key, `[rank, inputs]`.
    a: Option<(String, HeaderEntry)>,
    /// The key, `[outputs, rank]`.
    b: Option<(String, HeaderEntry)>,
    b_bias: Option<(String, HeaderEntry)>,
    /// An embedding's: the parameter is their product's transpose.
    embedding: bool,
}

/// Reads the adapter in `folder`.
///
/// # Errors
/// For everything that is no plain LoRA of a causal language model, by name of file and key: see
/// [`AdapterConfig`] for the configuration; a key of no known kind, a factor without its other
/// half, factors that do not multiply, two adapters in one file, values that are not finite.
pub(super) fn read(folder: &Path) -> Result<(Vector, Facts)> {
    let config = AdapterConfig::read(&folder.join(CONFIG))?;
    let path = folder.join(WEIGHTS);
    if !path.is_file() {
        let pickle = folder.join("adapter_model.bin");
        let problem = if pickle.is_file() {
            Problem::new("the adapter is a PyTorch pickle, which can run any program when opened")
                .at(pickle)
                .hint("save it as safetensors with PEFT")
        } else {
            Problem::new(format!("{WEIGHTS} is missing")).at(folder).hint("download it too")
        };
        return Err(problem.into());
    }
    let file = MappedFile::open(&path)?;
    let (entries, _) = read_header_and_metadata(file.bytes(), &path)?;
    let refuse = |what: String| anyhow::Error::from(Problem::new(what).at(&path));

    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    let mut parts = BTreeMap::new();
    let mut adapter: Option<String> = None;
    for (key, entry) in entries {
        let found = route(&key).map_err(&refuse)?;
        if let Some(name) = found.adapter {
            let first = adapter.get_or_insert_with(|| name.to_owned());
            if *first != name {
                let what = format!("`{key}` belongs to the adapter `{name}`, others to `{first}`");
                return Err(refuse(format!("{what}: two adapters in one file")));
            }
        }
        let pair = pairs.entry(found.module.to_owned()).or_default();
        let embedding = matches!(found.role, Role::EmbeddingA | Role::EmbeddingB);
        let slot = match found.role {
            Role::A | Role::EmbeddingA => &mut pair.a,
            Role::B | Role::EmbeddingB => &mut pair.b,
            Role::BBias => &mut pair.b_bias,
            Role::Saved => {
                let name = found.parameter();
                let (shape, values) = (entry.shape.clone(), values(&file, &entry, &key, &path)?);
                let part = Part::Replacement { shape, values };
                if parts.insert(name, part).is_some() {
                    return Err(refuse(format!("`{key}` is there twice")));
                }
                continue;
            }
        };
        if slot.replace((key.clone(), entry)).is_some() {
            return Err(refuse(format!("`{key}` is there twice")));
        }
        if embedding {
            pair.embedding = true;
        }
    }
    for (module, pair) in pairs {
        read_pair(&module, pair, &config, &file, &path, &mut parts)?;
    }
    if parts.is_empty() {
        return Err(refuse("the adapter holds no tensors".into()));
    }
    for (name, part) in &parts {
        part.check(name).map_err(|error| refuse(error.to_string()))?;
    }
    if !config.ties_head {
        leave_head_alone(&mut parts);
    }
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let name = full.file_name().map_or_else(|| "adapter".into(), |name| name.to_string_lossy());
    let facts = Facts {
        kind: Kind::Lora,
        how_made: format!("a LoRA adapter in PEFT's form, {}", config.summary()),
        ..Facts::default()
    };
    let vector = Vector {
        name: name.into_owned(),
        base_fingerprint: None,
        base_name: config.base_name,
        parts,
    };
    Ok((vector, facts))
}

fn read_pair(
    module: &str,
    pair: Pair,
    config: &AdapterConfig,
    file: &MappedFile,
    path: &Path,
    parts: &mut BTreeMap<String, Part>,
) -> Result<()> {
    let refuse = |what: String| anyhow::Error::from(Problem::new(what).at(path));
    let ((a_key, a), (b_key, b)) = match (pair.a, pair.b) {
        (Some(a), Some(b)) => (a, b),
        (None, None) if pair.b_bias.is_none() => return Ok(()),
        (Some((key, _)), None) => {
            let other = key.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B");
            return Err(refuse(format!("`{key}` has no `{other}` beside it")));
        }
        (None, Some((key, _))) => {
            let other = key.replace("lora_B", "lora_A").replace("embedding_B", "embedding_A");
            return Err(refuse(format!("`{key}` has no `{other}` beside it")));
        }
        (None, None) => return Err(refuse(format!("`{module}.lora_B.bias` has no factors"))),
    };
    let (&[rank, inputs], &[outputs, columns]) = (a.shape.as_slice(), b.shape.as_slice()) else {
        let shapes = format!("{:?} and {:?}", a.shape, b.shape);
        return Err(refuse(format!("`{a_key}` and `{b_key}` are {shapes}, not two matrices")));
    };
    if rank != columns || rank == 0 {
        let shapes = format!("{:?} and {:?}", a.shape, b.shape);
        return Err(refuse(format!("`{a_key}` and `{b_key}` are {shapes}: they do not multiply")));
    }
    let scale = config.scale(module, rank);
    let down = values(file, &a, &a_key, path)?;
    let up = values(file, &b, &b_key, path)?;
    let part = if pair.embedding {
        // The embedding [vocab, width] grows by the transpose of B·A.
        let down_of_embedding = transpose(&up, outputs, rank);
        let up_of_embedding = transpose(&down, rank, inputs);
        Part::LowRank {
            down: down_of_embedding,
            up: up_of_embedding,
            rank,
            inputs: outputs,
            outputs: inputs,
            scale,
        }
    } else {
        Part::LowRank { down, up, rank, inputs, outputs, scale }
    };
    parts.insert(format!("{module}.weight"), part);
    if let Some((key, entry)) = pair.b_bias {
        if entry.shape != [outputs] {
            let what = format!("`{key}` is {:?}, the module has {outputs} outputs", entry.shape);
            return Err(refuse(what));
        }
        let mut bias = values(file, &entry, &key, path)?;
        bias.iter_mut().for_each(|value| *value *= scale);
        let part = Part::Full { shape: vec![outputs], values: bias };
        parts.insert(format!("{module}.bias"), part);
    }
    Ok(())
}

/// A live adapter on an embedding moves the input alone, also where the head is tied to it; the
/// head then has factors of its own that add nothing.
fn leave_head_alone(parts: &mut BTreeMap<String, Part>) {
    const HEADS: [&str; 2] = ["lm_head.weight", "lm_head.base_layer.weight"];
    let of_head = |name: &String| HEADS.iter().any(|head| name.ends_with(head));
    let of_input = |name: &&String| {
        let plain = name.replace(".base_layer.", ".");
        plain.ends_with("embed_tokens.weight") || plain.ends_with("wte.weight")
    };
    if parts.keys().any(of_head) {
        return;
    }
    let shape = parts.keys().find(of_input).map(|name| parts[name].shape());
    if let Some(&[outputs, inputs]) = shape.as_deref() {
        let (down, up) = (vec![0.0; inputs], vec![0.0; outputs]);
        let part = Part::LowRank { down, up, rank: 1, inputs, outputs, scale: 1.0 };
        parts.insert(HEADS[0].to_owned(), part);
    }
}

/// A tensor as f32, refused by its own key when a value is not finite.
fn values(file: &MappedFile, entry: &HeaderEntry, key: &str, path: &Path) -> Result<Vec<f32>> {
    let refuse = |what: String| Problem::new(what).at(path);
    let stored = entry.stored.ok_or_else(|| {
        refuse(format!("`{key}` is stored as {}, which Tiller cannot read", entry.dtype))
            .hint("save the adapter in f32, f16 or bf16")
    })?;
    let bytes = &file.bytes()[entry.offset..entry.offset + entry.byte_length];
    let values = widen(stored, bytes)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(refuse(format!("`{key}` holds a value that is not finite")).into());
    }
    Ok(values)
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
