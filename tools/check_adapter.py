"""Trains an adapter with `dipole tune`, loads it in Hugging Face peft, and compares logits. Needs: pip install torch
transformers peft

    python tools/check_adapter.py target/debug/dipole             # check; exit code 1 when something differs
    python tools/check_adapter.py target/debug/dipole --record    # and write tests/fixtures/tuned/ anew

The recorded logits are peft's; tests/training.rs compares Dipole's own with them.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests" / "fixtures" / "chat" / "model"
OUT = ROOT / "tests" / "fixtures" / "tuned"
DEMO = ROOT / "assets" / "demo"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dipole")
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        export = home / "export"
        files = [f"--{name}={DEMO / (name + '.jsonl')}" for name in ("custom", "safe", "harmful")]
        subprocess.run([given.dipole, "purify", *files, f"--out={export}", f"--cache={home}", "-q"], check=True)
        tune = ["--steps=12", "--rank=4", "--targets=q_proj,v_proj,down_proj", "--learning-rate=0.01", "--precision=f32"]
        tune += ["--max-tokens=96", "--batch=4", "--threads=2", "-q"]
        subprocess.run([given.dipole, "tune", f"--data={export}", f"--model={MODEL}", f"--out={home}/tuned", *tune], check=True)
        adapter = home / "tuned" / "adapter"
        model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
        with warnings.catch_warnings():
            # peft only warns of keys that it does not find.
            warnings.simplefilter("error", UserWarning)
            tuned = PeftModel.from_pretrained(model, adapter).eval()
        wanted = {name.replace(".default", "") for name, _ in tuned.named_parameters() if "lora_" in name}
        written = set(load_file(adapter / "adapter_model.safetensors"))
        if wanted != written:
            sys.exit(f"missing {sorted(wanted - written)}, unexpected {sorted(written - wanted)}")
        ids = torch.arange(7, 47)
        with torch.no_grad():
            logits = tuned(input_ids=ids[None]).logits[0]
            with tuned.disable_adapter():
                moved = (tuned(input_ids=ids[None]).logits[0] - logits).abs().max().item()
        print(f"{len(written)} matrices loaded by peft; the adapter moves logits by up to {moved:.3f}")
        if moved < 1e-3:
            sys.exit("the adapter does nothing")
        if given.record:
            shutil.rmtree(OUT, ignore_errors=True)
            (OUT / "adapter").mkdir(parents=True)
            config = json.loads((adapter / "adapter_config.json").read_text())
            config["base_model_name_or_path"] = None
            (OUT / "adapter" / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
            shutil.copyfile(adapter / "adapter_model.safetensors", OUT / "adapter" / "adapter_model.safetensors")
            save_file({"ids": ids.float(), "logits": logits.contiguous()}, OUT / "expected.safetensors")
        recorded = load_file(OUT / "expected.safetensors")["logits"]
        difference = (recorded - logits).abs().max().item()
        print(f"largest difference from the recorded logits {difference:.2e}")
        if difference > 1e-4:
            sys.exit("the logits are not those that were recorded")


if __name__ == "__main__":
    main()
