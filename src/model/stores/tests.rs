//! Scans over fake trees.

use std::fs;

use super::*;

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

const LLAMA: &str = r#"{"model_type":"llama","vocab_size":8,"hidden_size":8,"num_hidden_layers":1,
 "num_attention_heads":2,"num_key_value_heads":2,"intermediate_size":16,"rms_norm_eps":1e-5,
 "max_position_embeddings":32,"rope_theta":10000.0,"tie_word_embeddings":true,"hidden_act":"silu"}"#;

fn put_model(folder: &Path) {
    put(&folder.join("config.json"), LLAMA.as_bytes());
    put(&folder.join("model.safetensors"), &[0; 100]);
    put(&folder.join("tokenizer.json"), b"{}");
}

fn home(root: &Path) -> Environment {
    Environment { home: Some(root.to_path_buf()), ..Environment::default() }
}

fn named<'a>(found: &'a [FoundModel], name: &str) -> &'a FoundModel {
    found.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("{name}: {found:?}"))
}

fn reason(skipped: &[SkippedModel], path: &Path) -> String {
    let hit = skipped.iter().find(|skip| skip.path == path);
    hit.unwrap_or_else(|| panic!("{}: {skipped:?}", path.display())).reason.clone()
}

#[test]
fn hugging_face_snapshots_are_named_by_ref_and_incomplete_ones_skipped() {
    let root = tempfile::tempdir().unwrap();
    let hub = root.path().join(".cache/huggingface/hub");
    let model = hub.join("models--org--small-model");
    put_model(&model.join("snapshots/aaaaaaaaaaaa"));
    put_model(&model.join("snapshots/bbbbbbbbbbbb"));
    put(&model.join("refs/main"), b"bbbbbbbbbbbb\n");
    let sharded = hub.join("models--org--sharded/snapshots/cc");
    put(&sharded.join("config.json"), LLAMA.as_bytes());
    let index = br#"{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}"#;
    put(&sharded.join("model.safetensors.index.json"), index);
    put(&sharded.join("m-1.safetensors"), &[0; 10]);
    let pickle = hub.join("models--org--pickle/snapshots/dd");
    put(&pickle.join("config.json"), LLAMA.as_bytes());
    put(&pickle.join("pytorch_model.bin"), &[0; 10]);
    let unknown = hub.join("models--org--whisper/snapshots/ee");
    put(&unknown.join("config.json"), br#"{"model_type":"whisper"}"#);
    put(&unknown.join("model.safetensors"), &[0; 10]);
    let broken = hub.join("models--org--broken-off");
    put(&broken.join("snapshots/ff/config.json"), LLAMA.as_bytes());
    put(&broken.join("blobs/0123.incomplete"), &[0; 3]);
    put(&hub.join("datasets--org--data/snapshots/aa/x.json"), b"{}");

    let (found, skipped) = scan(&home(root.path()), &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    let main = named(&found, "org/small-model");
    assert!(main.path.ends_with("snapshots/bbbbbbbbbbbb"));
    assert_eq!((main.bytes, main.store.as_str()), (100, "Hugging Face cache"));
    assert!(named(&found, "org/small-model (aaaaaaaa)").path.ends_with("aaaaaaaaaaaa"));
    assert!(reason(&skipped, &sharded).contains("m-2.safetensors is missing"));
    assert!(reason(&skipped, &pickle).contains("pickle"));
    assert!(reason(&skipped, &unknown).contains("whisper"));
    assert!(reason(&skipped, &broken.join("snapshots/ff")).contains("broke off"));
    assert_eq!(skipped.len(), 4, "{skipped:?}");
}

#[test]
fn variables_move_the_hugging_face_cache() {
    let root = tempfile::tempdir().unwrap();
    for (variable, hub, place) in [
        ("HF_HOME", "hub", "one"),
        ("HUGGINGFACE_HUB_CACHE", "", "two"),
        ("HF_HUB_CACHE", "", "three"),
        ("XDG_CACHE_HOME", "huggingface/hub", "four"),
    ] {
        let folder = root.path().join(place);
        put_model(&folder.join(hub).join("models--o--m/snapshots/aa"));
        let mut environment = home(&root.path().join("nobody"));
        environment.variables.insert(variable.into(), folder);
        assert_eq!(scan(&environment, &[]).0.len(), 1, "{variable}");
    }
}

#[test]
fn lm_studio_is_walked_and_flat_files_count() {
    let root = tempfile::tempdir().unwrap();
    let models = root.path().join(".lmstudio/models");
    put(&models.join("maker/model/model-q4.gguf"), b"GGUF1234");
    put(&models.join("maker/model/mmproj-model-f16.gguf"), b"GGUF");
    put(&models.join("flat.gguf"), b"GGUF");
    put(&models.join("maker/split/big-00001-of-00002.gguf"), b"GGUF12");
    put(&models.join("maker/split/big-00002-of-00002.gguf"), b"GGUF");
    put(&models.join("maker/half/part-00001-of-00002.gguf"), b"GGUF");
    put(&models.join("maker/liar/liar.gguf"), b"not so");
    put(&root.path().join(".cache/lm-studio/models/old/old/old.gguf"), b"GGUF");

    let (found, skipped) = scan(&home(root.path()), &[]);
    let mut names: Vec<&str> = found.iter().map(|model| model.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["big", "flat", "model-q4", "old"]);
    assert_eq!(named(&found, "big").bytes, 10);
    let half = models.join("maker/half/part-00001-of-00002.gguf");
    assert!(reason(&skipped, &half).contains("part-00002-of-00002.gguf is missing"));
    assert!(
        reason(&skipped, &models.join("maker/model/mmproj-model-f16.gguf")).contains("projector")
    );
    assert!(reason(&skipped, &models.join("maker/liar/liar.gguf")).contains("not a GGUF"));
}

#[test]
fn ollama_manifests_lead_to_blobs() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join(".ollama/models");
    let service = root.path().join("service");
    let digest = "ab".repeat(32);
    let manifest = |digest: &str| {
        format!(
            r#"{{"layers":[{{"mediaType":"application/vnd.ollama.image.license","digest":"x"}},
            {{"mediaType":"application/vnd.ollama.image.model","digest":"{digest}"}}]}}"#
        )
    };
    let library = store.join("manifests/registry.ollama.ai/library");
    put(&library.join("llama3/8b"), manifest(&format!("sha256:{digest}")).as_bytes());
    put(&store.join("blobs").join(format!("sha256-{digest}")), b"GGUF0000");
    let gone = library.join("gone/latest");
    put(&gone, manifest(&format!("sha256:{}", "cd".repeat(32))).as_bytes());
    let escape = library.join("evil/latest");
    put(&escape, manifest("sha256:../../secret").as_bytes());
    put(
        &service.join("manifests/hub/me/mine/v1"),
        manifest(&format!("sha256:{digest}")).as_bytes(),
    );
    put(&service.join("blobs").join(format!("sha256-{digest}")), b"GGUF");

    let mut environment = home(root.path());
    environment.system_folders = vec![service];
    let (found, skipped) = scan(&environment, &[]);
    assert_eq!(named(&found, "llama3:8b").bytes, 8);
    assert_eq!(named(&found, "me/mine:v1").store, "Ollama");
    assert!(reason(&skipped, &gone).contains("missing"));
    assert!(reason(&skipped, &escape).contains("strange blob"));

    environment.variables.insert("OLLAMA_MODELS".into(), root.path().join("elsewhere"));
    environment.system_folders.clear();
    assert!(scan(&environment, &[]).0.is_empty());
}

#[test]
fn llama_cpp_cache_and_own_folders_and_the_starter() {
    let root = tempfile::tempdir().unwrap();
    put(&root.path().join(".cache/llama.cpp/cached.gguf"), b"GGUF");
    let own = root.path().join("mine");
    put_model(&own.join("deep/model"));
    put_model(&root.path().join("share/tiller/models/starter"));
    let mut environment = home(root.path());
    environment.executable = Some(root.path().join("bin/tiller"));
    fs::create_dir_all(root.path().join("bin")).unwrap();
    let missing = root.path().join("missing");
    let (found, skipped) = scan(&environment, &[own.clone(), own.clone(), missing.clone()]);
    let stores: Vec<(&str, &str)> =
        found.iter().map(|model| (model.name.as_str(), model.store.as_str())).collect();
    assert_eq!(
        stores,
        [("Tiller starter", "bundled"), ("deep/model", "folder"), ("cached", "llama.cpp cache")]
    );
    assert!(reason(&skipped, &missing).contains("no such folder"));

    environment.variables.insert("TILLER_STARTER".into(), own.join("deep/model"));
    assert_eq!(starter(&environment), Some(own.join("deep/model")));
    environment.variables.insert("LLAMA_CACHE".into(), root.path().join("nothing"));
    assert!(!scan(&environment, &[]).0.iter().any(|model| model.store == "llama.cpp cache"));
}

#[test]
fn a_link_back_up_does_not_loop() {
    let root = tempfile::tempdir().unwrap();
    put_model(&root.path().join("mine/model"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.path().join("mine"), root.path().join("mine/model/up"))
        .unwrap();
    let (found, _) = scan(&Environment::default(), &[root.path().join("mine")]);
    assert_eq!(found.len(), 1, "{found:?}");
}
