//! What a vector is, without its numbers: for lists, before anything is read.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::peft::{self, CONFIG as ADAPTER_CONFIG};
use super::{Facts, Kind, file};
use crate::platform::Problem;

/// A vector's name, its base and its facts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct About {
    /// What the person calls it.
    pub name: String,
    /// As in [`super::Vector`].
    pub base_fingerprint: Option<String>,
    /// What its base model is called; empty where the file does not say.
    pub base_name: String,
    pub facts: Facts,
}

/// Looks at one of our files, or at a PEFT folder, whose own name is the vector's then. Reads no
/// more than a header or the adapter's config.
///
/// # Errors
/// When it is neither; the message names the file.
pub fn about(path: &Path) -> Result<About> {
    if !path.is_dir() {
        return file::read_about(path);
    }
    let folder = peft::find(path)?.unwrap_or_else(|| path.to_path_buf());
    let config = folder.join(ADAPTER_CONFIG);
    let refuse = |what: String| Problem::new(what).at(&config);
    let text = std::fs::read_to_string(&config).map_err(|error| {
        let hint = "give a vector's file or the folder of a LoRA adapter";
        refuse(format!("cannot be read: {error}")).hint(hint)
    })?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| refuse(format!("is not what it should be: {error}")))?;
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    if text("peft_type") != "LORA" {
        let what = format!("`peft_type` is `{}`, not LORA", text("peft_type"));
        return Err(refuse(what).hint("give the folder of a LoRA adapter").into());
    }
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    Ok(About {
        name,
        base_fingerprint: None,
        base_name: text("base_model_name_or_path").to_owned(),
        facts: Facts { kind: Kind::Lora, ..Facts::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::vector::{Vector, file::Precision};

    #[test]
    fn a_file_of_ours_and_an_adapters_folder_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("medical.safetensors");
        let vector = Vector {
            name: "medical".into(),
            base_fingerprint: Some("ab".into()),
            base_name: "starter".into(),
            ..Vector::default()
        };
        let facts = Facts { domain: "medical".into(), ..Facts::default() };
        file::write(&path, &vector, &facts, Precision::F32).unwrap();
        let found = about(&path).unwrap();
        assert_eq!((found.name.as_str(), found.base_name.as_str()), ("medical", "starter"));
        assert_eq!((found.base_fingerprint.as_deref(), found.facts), (Some("ab"), facts));

        let adapter = folder.path().join("calm");
        std::fs::create_dir(&adapter).unwrap();
        assert!(about(&adapter).unwrap_err().to_string().contains(ADAPTER_CONFIG));
        let config = adapter.join(ADAPTER_CONFIG);
        std::fs::write(&config, r#"{"peft_type": "LORA", "base_model_name_or_path": "a/b"}"#)
            .unwrap();
        let found = about(&adapter).unwrap();
        assert_eq!((found.name.as_str(), found.base_name.as_str()), ("calm", "a/b"));
        assert_eq!(found.facts.kind, Kind::Lora);
        std::fs::write(&config, r#"{"peft_type": "IA3"}"#).unwrap();
        assert!(about(&adapter).unwrap_err().to_string().contains("IA3"));
    }
}
