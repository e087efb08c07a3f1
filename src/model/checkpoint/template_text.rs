//! Finds the chat template's text, wherever the files keep it, and what bos and eos are called.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::json_file;
use crate::platform::Problem;

/// A chat template as the files give it, not yet compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    pub text: String,
    /// Where it stood, for a person.
    pub source: String,
    /// The text of the begin-of-text token, if the files name one.
    pub bos_token: Option<String>,
    /// The text of the end-of-text token.
    pub eos_token: Option<String>,
    /// Other named special tokens a template may use (`pad_token`, `unk_token`).
    pub other_tokens: Vec<(String, String)>,
}

/// In order: `chat_template.jinja`, `chat_template` in `tokenizer_config.json` (a string or a list
/// of named ones), `chat_template.json`, the folder `additional_chat_templates`.
pub fn from_folder(folder: &Path) -> Result<Option<TemplateText>> {
    let config_path = folder.join("tokenizer_config.json");
    let config = json_file::read_json::<Value>(&config_path)?.unwrap_or_default();
    let special =
        json_file::read_json::<Value>(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
    let Some((text, source)) = find(folder, &config, &config_path)? else { return Ok(None) };
    let token = |key: &str| token_text(&config[key]).or_else(|| token_text(&special[key]));
    let other_tokens = ["pad_token", "unk_token", "sep_token", "cls_token", "mask_token"]
        .into_iter()
        .filter_map(|key| Some((key.to_string(), token(key)?)))
        .collect();
    Ok(Some(TemplateText {
        text,
        source,
        bos_token: token("bos_token"),
        eos_token: token("eos_token"),
        other_tokens,
    }))
}

fn find(folder: &Path, config: &Value, config_path: &Path) -> Result<Option<(String, String)>> {
    let own_file = folder.join("chat_template.jinja");
    if let Some(bytes) = json_file::read_optional(&own_file)? {
        return Ok(Some((as_text(bytes, &own_file)?, "chat_template.jinja".to_string())));
    }
    if let Some(text) = choose(&config["chat_template"], config_path)? {
        return Ok(Some((text, "tokenizer_config.json".to_string())));
    }
    let json_path = folder.join("chat_template.json");
    if let Some(value) = json_file::read_json::<Value>(&json_path)?
        && let Some(text) = choose(&value["chat_template"], &json_path)?
    {
        return Ok(Some((text, "chat_template.json".to_string())));
    }
    let additional = folder.join("additional_chat_templates").join("default.jinja");
    if let Some(bytes) = json_file::read_optional(&additional)? {
        let source = "additional_chat_templates/default.jinja".to_string();
        return Ok(Some((as_text(bytes, &additional)?, source)));
    }
    Ok(None)
}

fn as_text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|_| Problem::new("the chat template is not UTF-8 text").at(path).into())
}

/// A string, or the `default` (else the only) entry of a list of `{name, template}`.
fn choose(value: &Value, file: &Path) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(entries) => {
            let named = |entry: &&Value| entry["name"] == "default";
            let chosen = entries
                .iter()
                .find(named)
                .or(if entries.len() == 1 { entries.first() } else { None })
                .and_then(|entry| entry["template"].as_str());
            match chosen {
                Some(text) => Ok(Some(text.to_string())),
                None => {
                    let what = "`chat_template` is a list without an entry named `default`";
                    Err(Problem::new(what).at(file).into())
                }
            }
        }
        _ => Err(Problem::new("`chat_template` is neither a string nor a list").at(file).into()),
    }
}

/// A token written as a string or as an object with `content`.
pub fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_places_are_tried_in_order() {
        let config = json!({ "chat_template": "from config", "bos_token": {"content": "<s>"} });
        let files = [
            ("chat_template.jinja", "from file"),
            ("tokenizer_config.json", &config.to_string()),
            ("additional_chat_templates/default.jinja", "from folder"),
        ];
        for (skipped, expected) in ["from file", "from config"].iter().enumerate() {
            let folder = folder_with(&files[skipped..]);
            let found = from_folder(folder.path()).unwrap().unwrap();
            assert_eq!(&found.text, expected);
            assert_eq!(found.bos_token.as_deref(), Some("<s>"));
        }
        let folder = folder_with(&files[2..]);
        assert_eq!(from_folder(folder.path()).unwrap().unwrap().text, "from folder");
        assert_eq!(from_folder(folder_with(&[]).path()).unwrap(), None);
    }

    #[test]
    fn of_a_list_the_default_is_taken() {
        let list =
            json!([{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]);
        assert_eq!(choose(&list, Path::new("f")).unwrap().as_deref(), Some("d"));
        let none = json!([{"name": "a", "template": "t"}, {"name": "b", "template": "d"}]);
        assert!(choose(&none, Path::new("f")).unwrap_err().to_string().contains("default"));
    }
}
