#!/usr/bin/env python3
"""Makes small random LoRA adapters with PEFT, and what PEFT itself says of models with them.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/peft_adapters.py [NAME …]

Writes, beside this file,
    peft/NAME/                     adapter_config.json and adapter_model.safetensors, as
                                   `save_pretrained` writes them, over families/BASE
    peft/NAME.expected.safetensors
        ids               [T] u32
        logits_at_0.5, logits_at_1, logits_at_-0.7   [T, V] f32
    peft/together.expected.safetensors
        ids, logits       of `plain` at 0.5 and `rslora` at -0.7 at once

A strength multiplies the adapter's scale; what the adapter saved whole (`modules_to_save`, biases)
goes that far from the base's value to the saved one. At strength 1 nothing is touched: those
logits are those of the adapter as PEFT loads it.

Made with torch 2.15.0, transformers 5.23.0 and peft 0.21.2 (requirements.txt pins them);
everything is computed in f32 on the CPU with eager attention.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent / "peft"
FAMILIES = Path(__file__).parent / "families"
STRENGTHS = (0.5, 1, -0.7)
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CONV1D = ["c_attn", "c_proj", "c_fc"]

# name: (base among families, settings of LoraConfig)
CASES = {
    "plain": ("llama", dict(r=4, lora_alpha=6, target_modules=LINEARS)),
    "rslora": ("llama", dict(r=4, lora_alpha=3, use_rslora=True,
                             target_modules=["q_proj", "v_proj", "down_proj"])),
    "patterns": ("llama", dict(
        r=4, lora_alpha=4, target_modules=LINEARS,
        rank_pattern={"layers.0.self_attn.q_proj": 7, r"layers\.\d+\.mlp\.(up|gate)_proj": 2},
        alpha_pattern={"model.layers.1.mlp.up_proj": 1, "mlp.up_proj": 5, "(k|v)_proj": 9,
                       "proj": 100})),
    "saved": ("llama", dict(r=2, lora_alpha=2, target_modules=["q_proj"],
                            modules_to_save=["lm_head", "norm"])),
    "embedding": ("llama", dict(r=3, lora_alpha=4, target_modules=["embed_tokens", "o_proj"])),
    "head": ("llama", dict(r=3, lora_alpha=4, target_modules=["lm_head", "k_proj"])),
    "transposed": ("gpt2", dict(r=4, lora_alpha=5, target_modules=CONV1D, fan_in_fan_out=True)),
    "bias-all": ("gpt2", dict(r=2, lora_alpha=2, target_modules=["c_attn"], bias="all",
                              fan_in_fan_out=True)),
    "bias-lora-only": ("gpt2", dict(r=2, lora_alpha=2, target_modules=["c_fc"], bias="lora_only",
                                    fan_in_fan_out=True)),
    "lora-bias": ("gpt2", dict(r=2, lora_alpha=3, target_modules=["c_proj"], lora_bias=True,
                               fan_in_fan_out=True)),
    "tied-embedding": ("gpt2", dict(r=3, lora_alpha=4, target_modules=["wte", "c_fc"],
                                    fan_in_fan_out=True)),
    "factors-on-qwen": ("qwen2", dict(r=4, lora_alpha=8, target_modules=LINEARS, bias="all")),
}


def base_model(name):
    return AutoModelForCausalLM.from_pretrained(
        FAMILIES / name, dtype=torch.float32, attn_implementation="eager").eval()


def randomise(model):
    """Trained values: random factors, and saved parameters some way off the base's."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.normal_(0, 0.1)
            elif value.requires_grad:
                value.add_(torch.randn_like(value) * 0.1)


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=ids[None], use_cache=False).logits[0].float().contiguous()


def at_strength(name, adapter, strength):
    """The base with the adapter, its scales multiplied, its saved parameters on the way there."""
    base = base_model(name)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    model = PeftModel.from_pretrained(base, HERE / adapter).eval()
    if strength == 1:
        return model
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scaling["default"] *= strength
    saved = load_file(HERE / adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for key, value in model.named_parameters():
            plain = key.removeprefix("base_model.model.").replace(".base_layer", "")
            in_file = key.replace(".modules_to_save.default", "")
            plain = plain.replace(".modules_to_save.default", "")
            if "lora_" in key or "original_module" in key or in_file not in saved:
                continue
            value.copy_(before[plain] + strength * (saved[in_file] - before[plain]))
    return model


def make(name):
    base, settings = CASES[name]
    torch.manual_seed(list(CASES).index(name))
    config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    model = get_peft_model(base_model(base), config).eval()
    randomise(model)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    written = json.loads((folder / "adapter_config.json").read_text())
    # A set in memory, so its order is not the same twice.
    written["target_modules"] = sorted(written["target_modules"])
    written["init_lora_weights"] = True
    (folder / "adapter_config.json").write_text(json.dumps(written, indent=2) + "\n")

    ids = load_file(FAMILIES / f"{base}.expected.safetensors")["ids"].long()
    plain = logits(base_model(base), ids)
    expected = {"ids": ids.to(torch.uint32)}
    for strength in STRENGTHS:
        at = logits(at_strength(base, name, strength), ids)
        expected[f"logits_at_{strength}"] = at
        print(f"{name} at {strength}: {float((at - plain).abs().max()):.2f} off the base")
    save_file(expected, HERE / f"{name}.expected.safetensors")


def make_together():
    model = PeftModel.from_pretrained(base_model("llama"), HERE / "plain", adapter_name="one")
    model.load_adapter(HERE / "rslora", adapter_name="two")
    model.base_model.set_adapter(["one", "two"])
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for adapter, strength in (("one", 0.5), ("two", -0.7)):
                if adapter in module.scaling:
                    module.scaling[adapter] *= strength
    ids = load_file(FAMILIES / "llama.expected.safetensors")["ids"].long()
    expected = {"ids": ids.to(torch.uint32), "logits": logits(model.eval(), ids)}
    save_file(expected, HERE / "together.expected.safetensors")


def main():
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        make(name)
    make_together()


if __name__ == "__main__":
    main()
