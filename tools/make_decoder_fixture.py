"""Makes what tests/decoder.rs compares the language models with. Needs: pip install torch transformers peft

    python tools/make_decoder_fixture.py          # tests/fixtures/decoder/: one tiny random network a family

Each folder is a Hugging Face directory with random weights, a PEFT adapter beside it with random A and B, and
expected.safetensors: hidden states, logits, the weighted loss, the gradient of every adapter matrix, the losses of
ten AdamW steps, and greedily generated tokens, all from transformers and peft on the CPU in float32.
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "decoder"
SIZES = dict(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=72,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=20,
    max_position_embeddings=256,
    bos_token_id=None,
    eos_token_id=96,
    pad_token_id=None,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=4.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
TEXTS = [29, 17, 1, 23]
STEPS = 10
RATE = 2e-3


def families():
    yield "llama", LlamaConfig(**SIZES, rope_parameters=LLAMA3, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
    yield "mistral", MistralConfig(**SIZES, sliding_window=9, tie_word_embeddings=False)
    yield "qwen2", Qwen2Config(
        **SIZES,
        use_sliding_window=True,
        sliding_window=7,
        max_window_layers=1,
        tie_word_embeddings=False,
        rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=5000.0),
    )
    yield "qwen3", Qwen3Config(**SIZES, tie_word_embeddings=True)
    yield "gemma3", Gemma3TextConfig(
        **SIZES,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        query_pre_attn_scalar=12,
        tie_word_embeddings=True,
        final_logit_softcapping=3.0,
        rope_parameters={
            "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
            "sliding_attention": dict(rope_type="default", rope_theta=10000.0),
        },
    )


def randomise(model, generator):
    """Every parameter random: norms near one (or zero for Gemma), the rest wide enough that every path matters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                base = 0.0 if model.config.model_type.startswith("gemma") else 1.0
                parameter.copy_(base + 0.2 * noise)
            elif "embed" in name:
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(0.25 * noise)


def weighted_loss(model, texts, weights):
    total = 0.0
    for ids, weight in zip(texts, weights):
        if len(ids) < 2:
            continue
        logits = model(input_ids=ids[None], use_cache=False).logits[0].float()
        losses = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
        total = total + (losses * weight[1:]).sum()
    return total


def make(name, config):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config._attn_implementation = "eager"
    generator = torch.Generator().manual_seed(7)
    model = AutoModelForCausalLM.from_config(config).eval().float()
    randomise(model, generator)
    options = dict(max_shard_size="40KB") if name == "mistral" else {}
    model.save_pretrained(folder, **options)
    texts = [torch.randint(0, 96, (length,), generator=generator) for length in TEXTS]
    weights = [torch.rand(length, generator=generator) * (torch.rand(length, generator=generator) < 0.6) for length in TEXTS]
    expected = {}
    with torch.no_grad():
        for number, ids in enumerate(texts):
            out = model(input_ids=ids[None], output_hidden_states=True, use_cache=False)
            expected[f"ids.{number}"] = ids.to(torch.int32).float()
            expected[f"weights.{number}"] = weights[number]
            expected[f"middle.{number}"] = out.hidden_states[1][0]
            expected[f"hidden.{number}"] = out.hidden_states[-1][0]
            expected[f"logits.{number}"] = out.logits[0]
    everything = name in ("llama", "gemma3")
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] if everything else ["q_proj", "v_proj"]
    lora = LoraConfig(r=3, lora_alpha=5, target_modules=targets, task_type="CAUSAL_LM", use_rslora=name == "qwen2")
    tuned = get_peft_model(model, lora).train()
    with torch.no_grad():
        for parameter_name, parameter in tuned.named_parameters():
            if "lora_" in parameter_name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    with torch.no_grad():
        expected["tuned.logits.0"] = tuned(input_ids=texts[0][None], use_cache=False).logits[0]
        greedy = tuned.generate(texts[3][None], max_new_tokens=12, do_sample=False, pad_token_id=0)
        expected["generated"] = greedy[0][TEXTS[3]:].float()
    loss = weighted_loss(tuned, texts, weights)
    loss.backward()
    expected["loss"] = loss.detach().reshape(1)
    short = lambda name: name.replace(".default", "").replace("base_model.model.", "")
    trained = {n: p for n, p in tuned.named_parameters() if p.requires_grad}
    for parameter_name, parameter in trained.items():
        expected["gradient." + short(parameter_name)] = parameter.grad.clone()
    optimiser = torch.optim.AdamW(trained.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = weighted_loss(tuned, texts, weights) / 4
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        losses.append([loss.item(), norm.item()])
        optimiser.step()
    expected["steps"] = torch.tensor(losses)
    for parameter_name, parameter in trained.items():
        expected["after." + short(parameter_name)] = parameter.detach().clone()
    save_file({key: value.detach().contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    print(name, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), "bytes", losses[0], losses[-1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for family, configuration in families():
        make(family, configuration)
