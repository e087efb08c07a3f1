//! Configs as real checkpoints write them, and configs nobody should write.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DecoderSpec, NormKind, Positions, RopeScaling, RopeSpec};

fn llama() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 128, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5, "max_position_embeddings": 256,
    })
}

fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

fn refusal(config: &Value) -> String {
    DecoderSpec::from_config(config).map_or_else(|error| error.to_string(), |_| String::new())
}

fn rope(config: &Value) -> RopeSpec {
    match DecoderSpec::from_config(config).unwrap().positions {
        Positions::Rotary(ropes) => ropes[0].clone(),
        Positions::Learned => panic!("no rotary positions"),
    }
}

#[test]
fn an_unknown_family_is_refused_with_the_known_ones() {
    let said = refusal(&with(llama(), "model_type", json!("mamba")));
    assert!(said.contains("`mamba`") && said.contains("llama, mistral, qwen2"), "{said}");
    let said = refusal(&with(llama(), "model_type", Value::Null));
    assert!(said.contains("model_type"), "{said}");
    assert!(refusal(&json!([1])).contains("not a JSON object"));
}

#[test]
fn absurd_configs_are_refused_by_field() {
    for (field, value) in [
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(5)),
        ("num_key_value_heads", json!(3)),
        ("num_hidden_layers", json!(1_000_000_000u64)),
        ("num_hidden_layers", json!(-1)),
        ("hidden_size", json!(1u64 << 60)),
        ("hidden_size", json!("64")),
        ("vocab_size", json!(0.5)),
        ("intermediate_size", json!(null)),
        ("rms_norm_eps", json!("NaN")),
        ("rms_norm_eps", json!(0.0)),
        ("rms_norm_eps", json!(-1.0)),
        ("rope_theta", json!(0)),
        ("head_dim", json!(7)),
        ("hidden_act", json!("mish")),
        ("attention_bias", json!("yes")),
        ("max_position_embeddings", json!(u64::MAX)),
    ] {
        let said = refusal(&with(llama(), field, value.clone()));
        assert!(said.contains(field), "{field} = {value}: {said:?}");
    }
    let short = with(llama(), "layer_types", json!(["full_attention"]));
    assert!(refusal(&with(short, "model_type", json!("qwen3"))).contains("layer_types"));
}

#[test]
fn old_and_new_rope_settings_mean_the_same() {
    let settings = json!({
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    });
    let mut old = settings.clone();
    old["type"] = json!("llama3");
    let old = with(with(llama(), "rope_theta", json!(5e5)), "rope_scaling", old);
    let mut new = settings;
    new["rope_type"] = json!("llama3");
    new["rope_theta"] = json!(5e5);
    let new = with(llama(), "rope_parameters", new);
    assert_eq!(rope(&old), rope(&new));
    assert!(matches!(rope(&old).scaling, RopeScaling::Llama3 { original_context: 64, .. }));
}

#[test]
fn unknown_or_broken_rope_settings_are_refused() {
    for (settings, field) in [
        (json!({"rope_type": "dynamic", "factor": 2.0}), "rope_type"),
        (json!({"type": "linear"}), "factor"),
        (json!({"type": "linear", "factor": 0.0}), "factor"),
        (json!({"rope_type": "llama3", "factor": 8.0}), "low_freq_factor"),
        (json!({"rope_type": "longrope", "short_factor": [1.0]}), "short_factor"),
        (json!("linear"), "rope_scaling"),
    ] {
        let said = refusal(&with(llama(), "rope_scaling", settings.clone()));
        assert!(said.contains(field), "{settings}: {said:?}");
    }
}

#[test]
fn llama3_keeps_short_wavelengths_and_stretches_long_ones() {
    let settings = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    });
    let config = with(llama(), "rope_scaling", settings);
    let (scaled, factor) = rope(&config).frequencies(256);
    let (plain, _) = rope(&llama()).frequencies(256);
    assert_eq!(factor, 1.0);
    assert_eq!(scaled[0], plain[0]);
    assert_eq!(scaled[7], plain[7] / 8.0);
    assert!(scaled[2] < plain[2] && scaled[2] > plain[2] / 8.0);
}

#[test]
fn longrope_picks_its_list_by_the_length_of_the_cache() {
    let ones = vec![1.0; 8];
    let twos = vec![2.0; 8];
    let settings = json!({"type": "su", "short_factor": ones, "long_factor": twos});
    let config = with(with(llama(), "model_type", json!("phi3")), "rope_scaling", settings);
    let config = with(config, "original_max_position_embeddings", json!(32));
    let rope = rope(&config);
    let (short, scale) = rope.frequencies(32);
    let (long, _) = rope.frequencies(33);
    assert_eq!(short[3], 2.0 * long[3]);
    // √(1 + ln(256 / 32) / ln 32)
    assert!((f64::from(scale) - (1.0 + 8f64.ln() / 32f64.ln()).sqrt()).abs() < 1e-6);
}

#[test]
fn windows_fall_on_the_layers_the_family_says() {
    let windows = |config: &Value| -> Vec<Option<usize>> {
        let spec = DecoderSpec::from_config(config).unwrap();
        spec.layers.iter().map(|layer| layer.window).collect()
    };
    let with_window = |family: &str| {
        let config = with(llama(), "sliding_window", json!(16));
        with(with(config, "model_type", json!(family)), "num_hidden_layers", json!(7))
    };
    assert_eq!(windows(&with_window("mistral")), vec![Some(16); 7]);
    assert_eq!(windows(&with(with_window("mistral"), "sliding_window", json!(null))), [None; 7]);
    assert_eq!(windows(&with_window("qwen2")), [None; 7]);
    let qwen = with(with_window("qwen2"), "use_sliding_window", json!(true));
    let qwen = with(qwen, "max_window_layers", json!(5));
    assert_eq!(windows(&qwen)[4..], [None, Some(16), Some(16)]);
    assert_eq!(windows(&with_window("gemma2"))[..3], [Some(16), None, Some(16)]);
    let gemma3 = windows(&with_window("gemma3_text"));
    assert_eq!((gemma3[4], gemma3[5], gemma3[6]), (Some(16), None, Some(16)));
}

#[test]
fn gemma3_leaves_out_what_its_config_class_says() {
    // The text part of a real multimodal config, shortened.
    let config = json!({
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {"model_type": "siglip_vision_model"},
    });
    let spec = DecoderSpec::from_config(&config).unwrap();
    assert_eq!((spec.head_count, spec.kv_head_count, spec.head_size), (8, 4, 256));
    assert_eq!((spec.vocab_size, spec.context_length), (262_208, 131_072));
    assert_eq!(spec.norm.kind, NormKind::RootMeanSquarePlusOne);
    assert!(spec.tied_head && spec.query_key_norm && spec.post_norms);
    assert_eq!((spec.attention_soft_cap, spec.logit_soft_cap), (None, None));
    assert_eq!((spec.layers[0].rope, spec.layers[5].rope), (1, 0));
    let Positions::Rotary(ropes) = &spec.positions else { panic!("no rotary positions") };
    assert_eq!((ropes[0].theta, ropes[1].theta), (1e6, 1e4));
    assert_eq!(ropes[0].scaling, RopeScaling::Linear { factor: 8.0 });
    assert_eq!(ropes[1].scaling, RopeScaling::None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u64..300).prop_map(Value::from),
        "[a-z0-9_]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,10}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    /// Whatever stands in a config, it is read or refused: no panic, and nothing sized after it.
    #[test]
    fn any_config_is_read_or_refused(
        family in prop::sample::select(vec![
            "llama", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "gpt2",
        ]),
        changes in prop::collection::vec((
            prop::sample::select(vec![
                "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim",
                "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta",
                "rope_scaling", "rope_parameters", "sliding_window", "layer_types", "n_embd",
                "n_head", "n_layer", "n_inner", "text_config", "partial_rotary_factor",
                "max_position_embeddings", "query_pre_attn_scalar", "tie_word_embeddings",
                "original_max_position_embeddings", "attn_logit_softcapping",
            ]),
            any_json(),
        ), 0..6),
        rope in any_json(),
    ) {
        let mut config = with(llama(), "model_type", Value::from(family));
        for (name, value) in changes {
            config[name] = value;
        }
        if rope.is_object() {
            config["rope_scaling"] = rope;
            config["rope_scaling"]["rope_type"] = Value::from("yarn");
        }
        if let Ok(spec) = DecoderSpec::from_config(&config) {
            prop_assert!(spec.layers.len() <= 1024);
            if let Positions::Rotary(ropes) = &spec.positions {
                for rope in ropes {
                    prop_assert_eq!(rope.frequencies(64).0.len(), rope.rotary_size / 2);
                }
            }
        }
    }
}
