#!/usr/bin/env python3
"""Writes GGUF twins of the small random checkpoints, the way the reference conversion does.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/gguf_files.py

Reads families/NAME (made by families.py) and writes gguf/NAME.gguf, every tensor in the type the
checkpoint has (norms and one-dimensional ones as f32). Of a wider random model it also writes
gguf/wide (a Hugging Face folder) and gguf/wide-TYPE.gguf for every quantised type the package can
make, and one split in two.
Names are the package's own table's; what is rearranged (Llama's rows, Gemma's norms, GPT-2's
products) is rearranged as the conversion script of the same project does. Made with gguf 0.19.0.
"""

import json
import math
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
OUT = HERE / "gguf"
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "phi3": "phi3",
                 "gemma2": "gemma2", "gemma3_text": "gemma3", "gpt2": "gpt2"}
TWINS = ["llama-tied", "llama-rope-llama3", "llama-rope-yarn", "qwen2", "qwen3", "phi3-longrope", "gemma2",
         "gemma3", "gpt2"]
TYPES = gguf.GGMLQuantizationType
PLAIN = {torch.float32: TYPES.F32, torch.float16: TYPES.F16, torch.bfloat16: TYPES.BF16}


def interleave(weight, heads):
    rows = weight.shape[0]
    return (weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
            .swapaxes(1, 2).reshape(weight.shape))


def rope_of(config):
    """Settings of either age: base, scaling (or nothing), the base of local layers."""
    rope = config.get("rope_parameters") or {}
    local = None
    if "full_attention" in rope:
        local = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    scaling = config.get("rope_scaling") or rope
    base = config.get("rope_theta", rope.get("rope_theta"))
    return base, scaling, local


def describe(out, config, tensors):
    kind = config["model_type"]
    if kind == "gpt2":
        out.add_context_length(config["n_positions"])
        out.add_embedding_length(config["n_embd"])
        out.add_block_count(config["n_layer"])
        out.add_feed_forward_length(config["n_inner"] or 4 * config["n_embd"])
        out.add_head_count(config["n_head"])
        out.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if head_size != config["hidden_size"] // heads or kind.startswith("gemma"):
        out.add_key_length(head_size)
        out.add_value_length(head_size)
    window = config.get("sliding_window")
    if window and kind in ("mistral", "phi3", "gemma2", "gemma3_text"):
        out.add_sliding_window(window)
    if kind.startswith("gemma"):
        out.add_attention_scale(config["query_pre_attn_scalar"] ** -0.5)
        for key, add in (("attn_logit_softcapping", out.add_attn_logit_softcapping),
                         ("final_logit_softcapping", out.add_final_logit_softcapping)):
            if config.get(key):
                add(config[key])
    base, scaling, local = rope_of(config)
    out.add_rope_freq_base(base)
    if kind == "gemma3_text":
        out.add_rope_freq_base_swa(local)
        out.add_sliding_window_pattern(config["layer_types"].index("full_attention") + 1)
    rope = scaling.get("rope_type", scaling.get("type", "default"))
    rotated = int(head_size * config.get("partial_rotary_factor", scaling.get("partial_rotary_factor", 1.0)))
    out.add_rope_dimension_count(rotated)
    if rope == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(scaling["factor"])
    elif rope == "yarn":
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(scaling["factor"])
        out.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        out.add_rope_scaling_yarn_beta_fast(scaling["beta_fast"])
        out.add_rope_scaling_yarn_beta_slow(scaling["beta_slow"])
    elif rope == "llama3":
        wave = 2 * math.pi * base ** (np.arange(0, head_size, 2, dtype=np.float64) / head_size)
        factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
        old = scaling["original_max_position_embeddings"]
        smooth = (old / wave - low) / (high - low)
        factors = np.where(wave < old / high, 1.0, np.where(
            wave > old / low, factor, 1.0 / ((1 - smooth) / factor + smooth)))
        tensors["rope_freqs.weight"] = factors.astype(np.float32)
    elif rope in ("longrope", "su"):
        old = config["original_max_position_embeddings"]
        ratio = config["max_position_embeddings"] / old
        out.add_rope_scaling_orig_ctx_len(old)
        out.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(ratio) / math.log(old)) if ratio > 1 else 1.0)
        tensors["rope_factors_long.weight"] = np.array(scaling["long_factor"], dtype=np.float32)
        tensors["rope_factors_short.weight"] = np.array(scaling["short_factor"], dtype=np.float32)


def twin(folder, path, kind=None, **splitting):
    """The GGUF of a folder; `kind` quantises the products and the embedding."""
    config = json.loads((folder / "config.json").read_text())
    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights.update(load_file(file))
    architecture = ARCHITECTURES[config["model_type"]]
    out = gguf.GGUFWriter(path, architecture, **splitting)
    tensors = {}
    describe(out, config, tensors)
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    number = {name: value for value, name in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    names = gguf.get_tensor_name_map(number, layers)
    for key, value in weights.items():
        stored = PLAIN[value.dtype]
        data = value.float().numpy()
        if architecture == "llama" and ("q_proj" in key or "k_proj" in key):
            which = "num_attention_heads" if "q_proj" in key else "num_key_value_heads"
            data = interleave(data, config[which])
        if architecture.startswith("gemma") and key.endswith("norm.weight"):
            data = data + 1
        if architecture == "gpt2" and any(key.endswith(end) for end in (
                "c_attn.weight", "c_proj.weight", "c_fc.weight")):
            data = data.T
        data = np.ascontiguousarray(data)
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if data.ndim == 1:
            stored = TYPES.F32
        elif kind is not None:
            stored = kind
        tensors[name] = (data, stored)
    for name, value in tensors.items():
        data, stored = value if isinstance(value, tuple) else (value, TYPES.F32)
        if stored in (TYPES.F32, TYPES.F16):
            out.add_tensor(name, data.astype(np.float32 if stored == TYPES.F32 else np.float16))
        else:
            out.add_tensor(name, gguf.quants.quantize(data, stored), raw_dtype=stored)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def wide():
    """A model whose rows are whole blocks of 32."""
    folder = OUT / "wide"
    folder.mkdir()
    config = dict(model_type="llama", vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=1,
                  num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
                  rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", tie_word_embeddings=True,
                  bos_token_id=1, eos_token_id=2)
    torch.manual_seed(5)
    layer = "model.layers.0."
    shapes = {"model.embed_tokens": (64, 64), layer + "self_attn.q_proj": (64, 64),
              layer + "self_attn.k_proj": (32, 64), layer + "self_attn.v_proj": (32, 64),
              layer + "self_attn.o_proj": (64, 64), layer + "mlp.gate_proj": (96, 64),
              layer + "mlp.up_proj": (96, 64), layer + "mlp.down_proj": (64, 96)}
    tensors = {f"{name}.weight": (torch.randn(shape) / shape[1] ** 0.5 * 1.5).half()
               for name, shape in shapes.items()}
    for name in (layer + "input_layernorm", layer + "post_attention_layernorm", "model.norm"):
        tensors[f"{name}.weight"] = (1 + 0.2 * torch.randn(64)).half()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for kind in (TYPES.F16, TYPES.Q4_0, TYPES.Q4_1, TYPES.Q5_0, TYPES.Q5_1, TYPES.Q8_0):
        twin(folder, OUT / f"wide-{kind.name}.gguf", kind)
    twin(folder, OUT / "wide-split.gguf", TYPES.F16, split_max_tensors=6)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for name in TWINS:
        twin(HERE / "families" / name, OUT / f"{name}.gguf")
    wide()
    for path in sorted(OUT.glob("*.gguf")):
        print(path.name, path.stat().st_size)


main()
