//! Chat templates against the reference implementation, shape by shape.
//!
//! The cases are made by `tests/golden/templates.py`.

use std::path::Path;

use serde_json::{Value, json};
use tiller::model::chat_template::{ChatTemplate, Message};
use tiller::model::checkpoint::Checkpoint;

/// A model folder with nothing in it but what a template needs.
pub fn folder_with(files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("config.json", br#"{"model_type": "llama"}"#);
    write("model.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    for (name, value) in files {
        match value {
            Value::String(text) => write(name, text.as_bytes()),
            other => write(name, other.to_string().as_bytes()),
        }
    }
    folder
}

fn template_of(folder: &Path) -> ChatTemplate {
    let checkpoint = Checkpoint::open(folder).unwrap();
    ChatTemplate::from_checkpoint(&checkpoint).unwrap().unwrap()
}

/// The case's template as a checkpoint brings it: tokens as strings or as objects, the template as
/// a string, in a list or in its own file.
fn opened(template: &Value, own_file: bool) -> ChatTemplate {
    let mut config = serde_json::Map::new();
    for (index, (name, token)) in template["tokens"].as_object().unwrap().iter().enumerate() {
        let object = json!({ "content": token, "special": true });
        config.insert(name.clone(), if index % 2 == 0 { object } else { token.clone() });
    }
    let mut files = Vec::new();
    if template["listed"] == true {
        let other = json!({ "name": "tool_use", "template": "other" });
        let listed = json!([other, { "name": "default", "template": template["text"] }]);
        config.insert("chat_template".into(), listed);
    } else if own_file {
        files.push(("chat_template.jinja", template["text"].clone()));
    } else {
        config.insert("chat_template".into(), template["text"].clone());
    }
    files.push(("tokenizer_config.json", Value::Object(config)));
    template_of(folder_with(&files).path())
}

#[test]
fn every_shape_gives_the_reference_s_string() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/templates.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let today = jiff::Zoned::now().strftime("%d %b %Y").to_string();
    let mut wrong = Vec::new();
    let (mut equal, mut raised, mut folded) = (0, 0, 0);
    for (index, case) in golden["cases"].as_array().unwrap().iter().enumerate() {
        let template =
            opened(&golden["templates"][case["template"].as_str().unwrap()], index % 2 == 0);
        let messages: Vec<Message<'_>> = case["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| Message {
                role: pair[0].as_str().unwrap(),
                content: pair[1].as_str().unwrap(),
            })
            .collect();
        let prompt = case["add_generation_prompt"].as_bool().unwrap();
        let rendered = template.render(&messages, prompt);
        let name = case["name"].as_str().unwrap();
        let system = messages[0].role == "system";
        match (case["expected"].as_str(), rendered) {
            (Some(expected), Ok(rendered)) => {
                let expected = expected.replace("@TODAY@", &today);
                if rendered.text == expected && !rendered.system_folded {
                    equal += 1;
                } else {
                    wrong.push(format!("{name}\n{expected:?}\n{:?}", rendered.text));
                }
            }
            // The reference raises on the system message; here it joins the first user message.
            (None, Ok(rendered)) if system && rendered.system_folded => {
                let joined = format!("{}\n\n{}", messages[0].content, messages[1].content);
                assert!(rendered.text.contains(joined.trim()), "{name}: {}", rendered.text);
                folded += 1;
            }
            (None, Err(error)) if !system => {
                let message = case["raises"].as_str().unwrap();
                assert!(error.to_string().contains(message), "{name}: {error}");
                raised += 1;
            }
            (_, other) => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
    assert_eq!((equal, raised, folded), (158, 4, 6));
}

#[test]
fn a_folder_without_a_template_has_none() {
    let folder = folder_with(&[("tokenizer_config.json", json!({ "bos_token": "<s>" }))]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert!(ChatTemplate::from_checkpoint(&checkpoint).unwrap().is_none());
}

#[test]
fn the_fingerprint_follows_the_text() {
    let of = |text: &str| {
        let template = template_of(folder_with(&[("chat_template.jinja", json!(text))]).path());
        assert_eq!(template.source(), "chat_template.jinja");
        template.fingerprint().to_string()
    };
    assert_eq!(of("{{ messages }}"), of("{{ messages }}"));
    assert_ne!(of("{{ messages }}"), of("{{ messages  }}"));
}
