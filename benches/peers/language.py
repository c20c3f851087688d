"""Times a LoRA training step and embedding beside torch, transformers and peft, turn by turn, on the same CPU.

    pip install torch transformers peft
    cargo bench --no-run --bench language         # names the binary
    python benches/peers/language.py BINARY [--size 135m|10m] [--rows 4] [--tokens 256] [--rounds 3] [--threads 2]

Makes a Llama model with random weights of the given size (135m has the shape of SmolLM2-135M) and a tokenizer of one
token a word. Every measurement runs in a process of its own: tokens/s are the median step without the first, rows/s
leave reading the model out; memory is the largest resident size of the whole process. torch runs `sdpa` attention, its
embedding in batches of 8 texts sorted by length, which is what it is fastest with here. Losses of both sides are
compared, so that the work is the same.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

SIZES = {
    "135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, vocab_size=49152),
    "10m": dict(hidden_size=320, intermediate_size=864, num_hidden_layers=6, num_attention_heads=5, num_key_value_heads=5, vocab_size=8192),
}


def make(arguments):
    folder, size = arguments.model, arguments.size
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(**SIZES[size], max_position_embeddings=2048, tie_word_embeddings=True, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    words = {f"w{number}": number for number in range(config.vocab_size)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(pathlib.Path(folder) / "tokenizer.json"))


def torch_train(arguments):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype, attn_implementation="sdpa")
    config = LoraConfig(r=16, lora_alpha=16, target_modules=arguments.targets.split(","), task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    if arguments.checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-9, weight_decay=0.0)
    ids = torch.tensor(json.loads(pathlib.Path(arguments.data).read_text()))
    model.train()
    rates, losses = [], []
    for _ in range(arguments.steps):
        began = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        rates.append(ids.numel() / (time.perf_counter() - began))
    print(json.dumps({"rate": statistics.median(rates[1:]), "losses": losses}))


def torch_embed(arguments):
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
    model = AutoModel.from_pretrained(arguments.model, dtype=dtype, attn_implementation="sdpa").eval()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(arguments.model) / "tokenizer.json"))
    texts = json.loads(pathlib.Path(arguments.data).read_text())

    def embed(texts):
        rows = sorted((tokenizer.encode(text).ids for text in texts), key=len, reverse=True)
        with torch.inference_mode():
            for start in range(0, len(rows), 8):
                batch = rows[start : start + 8]
                most = max(map(len, batch))
                ids = torch.tensor([row + [0] * (most - len(row)) for row in batch])
                mask = torch.tensor([[1] * len(row) + [0] * (most - len(row)) for row in batch])
                hidden = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                last = torch.tensor([len(row) - 1 for row in batch])
                torch.nn.functional.normalize(hidden[torch.arange(len(batch)), last].float(), dim=1)

    embed(texts[:8])
    began = time.perf_counter()
    embed(texts)
    print(json.dumps({"rate": len(texts) / (time.perf_counter() - began)}))


def run(command):
    """What a process prints, and the most memory it took in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{command} failed"
    return json.loads(told), usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--size", choices=SIZES, default="135m")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--targets", default="q_proj,v_proj")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--only", choices=("train", "embed"))
    parser.add_argument("--peer", choices=("make", "train", "embed"), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return {"make": make, "train": torch_train, "embed": torch_embed}[arguments.peer](arguments)
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # In a process of its own: the largest size of a child counts what its parent held when it was born.
        peer = [sys.executable, __file__, arguments.binary, "--model", str(folder / "model"), "--size", arguments.size, "--precision", arguments.precision]
        subprocess.run([*peer, "--peer", "make"], check=True, capture_output=True)
        words = random.Random(1)
        vocabulary = SIZES[arguments.size]["vocab_size"]
        word = lambda: words.randrange(3, vocabulary)
        rows = [[word() for _ in range(arguments.tokens)] for _ in range(arguments.rows)]
        texts = [" ".join(f"w{word()}" for _ in range(words.randrange(arguments.tokens // 8, arguments.tokens))) for _ in range(arguments.texts)]
        (folder / "rows.json").write_text(json.dumps(rows))
        (folder / "texts.json").write_text(json.dumps(texts))
        model, threads = str(folder / "model"), str(arguments.threads)
        peer = [*peer, "--threads", threads]
        train = [arguments.binary, "train", model, str(folder / "rows.json"), "--threads", threads, "--steps", str(arguments.steps), "--targets", arguments.targets, "--precision", arguments.precision]
        peer_train = [*peer, "--peer", "train", "--data", str(folder / "rows.json"), "--steps", str(arguments.steps), "--targets", arguments.targets]
        contests = {
            "train": {
                "torch": peer_train,
                "torch, recomputed": [*peer_train, "--checkpointing"],
                "Dipole, kept": [*train, "--keep"],
                "Dipole, recomputed": train,
            },
            "embed": {
                "torch": [*peer, "--peer", "embed", "--data", str(folder / "texts.json")],
                "Dipole": [arguments.binary, "embed", model, str(folder / "texts.json"), "--threads", threads],
            },
        }
        for what, sides in contests.items():
            if arguments.only not in (None, what):
                continue
            rates, memory, losses = {}, {}, {}
            for _ in range(arguments.rounds):
                for name, command in sides.items():
                    told, most = run(command)
                    rates.setdefault(name, []).append(told["rate"])
                    memory[name] = max(memory.get(name, 0), most)
                    losses[name] = told.get("losses", [0.0])[0]
            base = statistics.median(rates["torch"])
            unit = "tokens/s" if what == "train" else "rows/s"
            for name, of in rates.items():
                rate = statistics.median(of)
                note = f", loss {losses[name]:.5f}" if what == "train" else ""
                print(f"{what} {arguments.size} {arguments.precision}: {name:20} {rate:8.1f} {unit} ({rate / base:.2f} of torch), {memory[name] / 2**20:6.0f} MiB{note}", flush=True)


if __name__ == "__main__":
    main()
