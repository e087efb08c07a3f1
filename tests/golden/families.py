#!/usr/bin/env python3
"""Makes a small random checkpoint of every family and variant, and what the reference says of it.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/families.py [NAME …]

Writes, beside this file,
    families/NAME/          config.json and safetensors, as `save_pretrained` writes them (or, where
                            a case says `old`, with the field names of older checkpoints)
    families/NAME.expected.safetensors
        ids     [T] u32     the sequence fed
        logits  [T, V] f32  of one pass over it
        hidden  [T, d] f32  after the final norm
        greedy  [32] u32    what greedy decoding continues with
        and, for `longrope`, short_logits [S, V]: one pass over the first S ids, few enough for the
        short list of factors

Made with torch 2.15.0 and transformers 5.23.0 (requirements.txt pins them); everything is computed
in f32 on the CPU with eager attention, from weights rounded to the type they are stored in.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent / "families"
LENGTH, CONTINUED, WINDOW, VOCABULARY = 24, 32, 7, 96
# Greedy decoding is only comparable where the best token leads by more than rounding.
LEAST_LEAD = 2e-3

SIZES = dict(
    vocab_size=VOCABULARY, hidden_size=48, intermediate_size=80, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=128,
    bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False,
)


def old_rope(config):
    """Field names of checkpoints written before transformers 5."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    partial = rope.pop("partial_rotary_factor", None)
    if partial is not None:
        config["partial_rotary_factor"] = partial
    kind = rope.pop("rope_type")
    if kind != "default":
        config["rope_scaling"] = {"type": "su" if kind == "longrope" else kind, **rope}
        if kind == "longrope":
            config["rope_scaling"].pop("original_max_position_embeddings")


def old_gemma3(config):
    """Gemma 3 as its first checkpoints say it: no `layer_types`, two bases, one scaling."""
    rope = config.pop("rope_parameters")
    full = rope["full_attention"]
    config["rope_theta"] = full["rope_theta"]
    config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    config["rope_scaling"] = {"rope_type": "linear", "factor": full["factor"]}
    config["sliding_window_pattern"] = 3
    del config["layer_types"]


def nested_gemma3(config):
    """The text decoder of a multimodal checkpoint."""
    old_gemma3(config)
    # What equals the config class's default is left out in real ones.
    text = {k: v for k, v in config.items() if k not in ("architectures", "transformers_version")}
    config.clear()
    config.update(model_type="gemma3", architectures=["Gemma3ForConditionalGeneration"],
                  text_config=text, vision_config={"model_type": "siglip_vision_model"})


def pairs(start, step, count):
    return [round(start + step * i, 3) for i in range(count)]


GEMMA3 = dict(
    query_pre_attn_scalar=24, sliding_window=WINDOW, num_hidden_layers=4, tie_word_embeddings=True,
    layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    rope_parameters={
        "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
    },
)

# name: (config class, settings, type stored in, how config.json is changed, tensor prefix)
CASES = {
    "llama": ("Llama", {}, torch.float32, None, None),
    "llama-tied": ("Llama", dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
                   torch.float16, None, None),
    "llama-sharded": ("Llama", dict(num_hidden_layers=3), torch.bfloat16, old_rope, None),
    "llama-rope-llama3": ("Llama", dict(rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
        high_freq_factor=4.0, original_max_position_embeddings=32)), torch.bfloat16, old_rope, None),
    "llama-rope-linear": ("Llama", dict(rope_parameters=dict(
        rope_type="linear", rope_theta=5000.0, factor=4.0)), torch.bfloat16, None, None),
    "llama-rope-yarn": ("Llama", dict(rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, beta_fast=8.0, beta_slow=1.0,
        original_max_position_embeddings=64)), torch.bfloat16, None, None),
    "mistral": ("Mistral", dict(sliding_window=WINDOW), torch.bfloat16, None, None),
    "qwen2": ("Qwen2", dict(use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
              torch.bfloat16, None, None),
    "qwen3": ("Qwen3", dict(rope_parameters=dict(rope_type="default", rope_theta=1e6)),
              torch.bfloat16, None, None),
    "phi3": ("Phi3", dict(sliding_window=WINDOW), torch.bfloat16, None, None),
    "phi3-longrope": ("Phi3", dict(
        max_position_embeddings=64, original_max_position_embeddings=16, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
            short_factor=pairs(1.0, 0.05, 6), long_factor=pairs(1.1, 0.9, 6))),
        torch.bfloat16, old_rope, None),
    "gemma2": ("Gemma2", dict(query_pre_attn_scalar=24, sliding_window=WINDOW, num_hidden_layers=3,
                              tie_word_embeddings=True, attn_logit_softcapping=3.0,
                              final_logit_softcapping=12.0), torch.float32, None, None),
    "gemma3": ("Gemma3Text", GEMMA3, torch.bfloat16, None, None),
    "gemma3-nested": ("Gemma3Text", GEMMA3, torch.bfloat16, nested_gemma3, "language_model."),
    "gpt2": ("GPT2", {}, torch.float32, None, "transformer."),
    "gpt2-bare": ("GPT2", dict(scale_attn_by_inverse_layer_idx=True, n_inner=72), torch.bfloat16,
                  None, ""),
}


def make(name, seed):
    family, settings, dtype, rewrite, prefix = CASES[name]
    settings = {**SIZES, **settings}
    if family == "GPT2":
        renamed = dict(hidden_size="n_embd", num_hidden_layers="n_layer",
                       num_attention_heads="n_head", max_position_embeddings="n_positions")
        settings = {renamed.get(key, key): value for key, value in settings.items()
                    if key not in ("intermediate_size", "num_key_value_heads", "head_dim",
                                   "tie_word_embeddings")}
    if family == "Phi3":
        # Phi-3's head size follows from the others.
        settings["num_attention_heads"], settings["num_key_value_heads"] = 3, 1
        del settings["head_dim"]
    head = {"GPT2": "GPT2LMHeadModel"}.get(family, f"{family.removesuffix('Text')}ForCausalLM")
    config = getattr(transformers, f"{family}Config")(**settings, attn_implementation="eager")
    torch.manual_seed(seed)
    model = getattr(transformers, head)(config).eval().float()
    with torch.no_grad():
        for key, value in model.named_parameters():
            norm = "norm" in key or ".ln_" in key
            if value.dim() == 2 and ("embed" in key or "wte" in key or "wpe" in key):
                # Tied and scaled, large embeddings would make every token predict itself.
                value.normal_(0, 0.1 if family.startswith("Gemma") else 0.7)
            elif value.dim() == 2:
                conv = family == "GPT2" and "lm_head" not in key
                value.normal_(0, 1.6 / value.shape[0 if conv else 1] ** 0.5)
            elif norm and key.endswith("weight"):
                gemma = 1.5 if "post_" in key else 0.0
                value.normal_(gemma if family.startswith("Gemma") else 1.0, 0.25)
            else:
                value.normal_(0, 0.25)
            value.copy_(value.to(dtype).float())
    model.tie_weights()
    if family.startswith("Gemma"):
        # In a checkpoint of 16 bits the model ran with √hidden rounded to that type.
        scale = model.model.embed_tokens.embed_scale
        scale.copy_(scale.to(dtype).float())

    ids = torch.randint(3, VOCABULARY, (1, LENGTH))
    body = model.transformer if family == "GPT2" else model.model

    def run(sequence):
        with torch.no_grad():
            hidden = body(input_ids=sequence, use_cache=False).last_hidden_state
            logits = model(input_ids=sequence, use_cache=False).logits
        return logits[0].float(), hidden[0].float()

    logits, hidden = run(ids)
    sequence, greedy, lead = ids, [], float("inf")
    for _ in range(CONTINUED):
        best = run(sequence)[0][-1].topk(2)
        lead = min(lead, float(best.values[0] - best.values[1]))
        greedy.append(int(best.indices[0]))
        sequence = torch.cat([sequence, best.indices[:1][None]], 1)
    spread = float(logits.std())
    if lead < LEAST_LEAD or len(set(greedy)) < 6:
        print(f"{name}: seed {seed} leads by {lead:.4f}, {len(set(greedy))} distinct", flush=True)
        return None
    expected = dict(ids=ids[0].to(torch.uint32), logits=logits.contiguous(),
                    hidden=hidden.contiguous(), greedy=torch.tensor(greedy, dtype=torch.uint32))
    if name == "phi3-longrope":
        expected["short_logits"] = run(ids[:, :16])[0].contiguous()

    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    size = "60KB" if name == "llama-sharded" else "50GB"
    model.to(dtype).save_pretrained(folder, max_shard_size=size)
    if prefix is not None:
        file = folder / "model.safetensors"
        tensors = {prefix + key.removeprefix("transformer."): value
                   for key, value in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    written = json.loads((folder / "config.json").read_text())
    if rewrite:
        rewrite(written)
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
    save_file(expected, HERE / f"{name}.expected.safetensors")
    print(f"{name}: seed {seed}, logits spread {spread:.2f}, least lead {lead:.4f}, "
          f"{len(set(greedy))} distinct continued")
    return True


def main():
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        if not any(make(name, seed) for seed in range(50)):
            sys.exit(f"{name}: no seed leads clearly enough")


if __name__ == "__main__":
    main()
