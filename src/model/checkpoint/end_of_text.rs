//! Which ids end a text: the union of everything the files say, since each source alone is known
//! to be incomplete (a base model's config under an instruction model's template, for one).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::json_file;
use super::template_text::{TemplateText, token_text};

/// Tokens that end a turn or a text in the templates of the known families.
pub const TURN_ENDS: [&str; 11] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|end_of_turn|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|return|>",
    "<|eot|>",
    "</s>",
];

/// Only what is wanted of `tokenizer.json`; the vocabulary is passed over unread.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AddedTokens {
    added_tokens: Vec<AddedToken>,
    #[serde(rename = "model")]
    _model: IgnoredAny,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// From the files of a Hugging Face folder.
pub fn from_folder(
    folder: &Path,
    config: &Value,
    generation: &Value,
    template: Option<&TemplateText>,
) -> Result<Vec<u32>> {
    let tokenizer_config =
        json_file::read_json::<Value>(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    let special =
        json_file::read_json::<Value>(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
    let ids = added_ids(folder, &tokenizer_config)?;
    let mut ends = BTreeSet::new();
    for value in [
        &config["eos_token_id"],
        &config["text_config"]["eos_token_id"],
        &generation["eos_token_id"],
    ] {
        collect(value, &mut ends);
    }
    for value in [&tokenizer_config["eos_token"], &special["eos_token"]] {
        ends.extend(token_text(value).and_then(|token| ids.get(&token).copied()));
    }
    ends.extend(template_ends(template, |token| ids.get(token).copied()));
    Ok(ends.into_iter().collect())
}

/// Turn ends the template writes and the vocabulary knows.
pub fn template_ends(
    template: Option<&TemplateText>,
    id_of: impl Fn(&str) -> Option<u32>,
) -> Vec<u32> {
    let Some(template) = template else { return Vec::new() };
    TURN_ENDS
        .iter()
        .filter(|end| template.text.contains(**end))
        .filter_map(|end| id_of(end))
        .collect()
}

/// An id, or a list of ids.
fn collect(value: &Value, ends: &mut BTreeSet<u32>) {
    let of = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(ids) => ends.extend(ids.iter().filter_map(of)),
        single => ends.extend(of(single)),
    }
}

/// Ids of the added tokens, from all three places that list them.
fn added_ids(folder: &Path, tokenizer_config: &Value) -> Result<BTreeMap<String, u32>> {
    let mut ids = BTreeMap::new();
    if let Some(listed) =
        json_file::read_json::<BTreeMap<String, u32>>(&folder.join("added_tokens.json"))?
    {
        ids.extend(listed);
    }
    if let Some(decoder) = tokenizer_config["added_tokens_decoder"].as_object() {
        ids.extend(
            decoder.iter().filter_map(|(id, token)| Some((token_text(token)?, id.parse().ok()?))),
        );
    }
    if let Some(tokenizer) = json_file::read_json::<AddedTokens>(&folder.join("tokenizer.json"))? {
        ids.extend(tokenizer.added_tokens.into_iter().map(|token| (token.content, token.id)));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_source_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        write("tokenizer_config.json", json!({ "eos_token": {"content": "</end>"} }));
        write("added_tokens.json", json!({ "</end>": 7 }));
        write(
            "tokenizer.json",
            json!({ "model": {"vocab": {"a": 1}}, "added_tokens": [
                {"id": 9, "content": "<|im_end|>"}, {"id": 10, "content": "<|eot_id|>"}] }),
        );
        let template = TemplateText {
            text: "{{ m }}<|im_end|>".into(),
            source: String::new(),
            bos_token: None,
            eos_token: None,
            other_tokens: Vec::new(),
        };
        let ends = from_folder(
            folder.path(),
            &json!({ "eos_token_id": 3 }),
            &json!({ "eos_token_id": [3, 5, -1] }),
            Some(&template),
        )
        .unwrap();
        assert_eq!(ends, [3, 5, 7, 9]);
    }
}
