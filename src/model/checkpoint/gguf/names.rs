//! The Hugging Face name of every tensor a GGUF file may hold.

use super::Architecture;

/// `None` for a tensor the model is not made of (tables of rotary factors).
pub fn hugging_face_name(architecture: Architecture, name: &str) -> Option<String> {
    let gpt2 = architecture == Architecture::Gpt2;
    let (stem, kind) = name.rsplit_once('.')?;
    if let Some(rest) = stem.strip_prefix("blk.") {
        let (index, part) = rest.split_once('.')?;
        index.parse::<u32>().ok()?;
        let part = if gpt2 { gpt2_part(part)? } else { layer_part(architecture, part)? };
        let layers = if gpt2 { "transformer.h" } else { "model.layers" };
        return Some(format!("{layers}.{index}.{part}.{kind}"));
    }
    let stem = match (stem, gpt2) {
        ("token_embd", false) => "model.embed_tokens",
        ("output_norm", false) => "model.norm",
        ("token_embd", true) => "transformer.wte",
        ("position_embd", true) => "transformer.wpe",
        ("output_norm", true) => "transformer.ln_f",
        ("output", _) => "lm_head",
        _ => return None,
    };
    Some(format!("{stem}.{kind}"))
}

fn layer_part(architecture: Architecture, part: &str) -> Option<&'static str> {
    let four_norms = matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3);
    Some(match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_qkv" => "self_attn.qkv_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "post_attention_norm" if four_norms => "post_attention_layernorm",
        "ffn_norm" if four_norms => "pre_feedforward_layernorm",
        "post_ffw_norm" if four_norms => "post_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" if architecture == Architecture::Phi3 => "mlp.gate_up_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    })
}

fn gpt2_part(part: &str) -> Option<&'static str> {
    Some(match part {
        "attn_norm" => "ln_1",
        "attn_qkv" => "attn.c_attn",
        "attn_output" => "attn.c_proj",
        "ffn_norm" => "ln_2",
        "ffn_up" => "mlp.c_fc",
        "ffn_down" => "mlp.c_proj",
        _ => return None,
    })
}
