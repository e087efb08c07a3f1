//! A golden checkpoint made whole, so that it can be talked to: the smallest real model there is.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Printable characters up to `|`: what 93 of the golden vocabulary's 96 ids stand for.
const FIRST_CHARACTER: u8 = b' ';
const FIRST_ID: u32 = 3;

/// A golden checkpoint made whole: a tokenizer of single characters and a chat template.
pub fn model() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families/qwen2");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden.join(file), folder.join(file)).unwrap();
    }
    let mut vocabulary = serde_json::Map::new();
    let specials = ["<pad>", "<s>", "</s>"];
    for (id, special) in specials.iter().enumerate() {
        vocabulary.insert((*special).into(), json!(id));
    }
    for id in FIRST_ID..96 {
        let character = char::from(FIRST_CHARACTER + (id - FIRST_ID) as u8);
        // The byte-level alphabet shows a space as Ġ.
        let shown = if character == ' ' { 'Ġ' } else { character };
        vocabulary.insert(shown.to_string(), json!(id));
    }
    let added: Vec<Value> = specials
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false,
                             "trim_offsets": true, "use_regex": true });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
        "decoder": byte_level,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                   "continuing_subword_prefix": null, "end_of_word_suffix": null,
                   "byte_fallback": false, "vocab": vocabulary, "merges": [] },
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({ "chat_template":
        "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}\
         {% if add_generation_prompt %}assistant: {% endif %}",
        "eos_token": "</s>" });
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    (home, folder)
}

/// The id of a character.
pub fn id_of(character: char) -> u32 {
    u32::from(character) - u32::from(FIRST_CHARACTER) + FIRST_ID
}
