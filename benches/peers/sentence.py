"""Times the sentence encoder beside the sentence-transformers package, turn by turn, on the same texts.

    pip install sentence-transformers
    cargo bench --no-run --bench sentence         # names the binary
    python benches/peers/sentence.py MODEL DATA.jsonl BINARY [--rows 1000] [--rounds 5] [--threads 2]

DATA has rows of instruction, input and output. Both sides sort by length and use the given number of threads.
Reading the model counts for Dipole only. Prints rows a second of every round, the medians and their ratio, and the
same by processor time, which other work on the machine disturbs less (with --threads 1: threads that wait for each
other burn it too).
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)

    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(arguments.threads)
    texts = []
    for line in pathlib.Path(arguments.data).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = "\n".join(row[key] for key in ("instruction", "input", "output") if row.get(key))
        if text and text not in texts:
            texts.append(text)
        if len(texts) == arguments.rows:
            break
    model = SentenceTransformer(arguments.model, device="cpu")
    model.encode(texts[:64])
    rates = {"wall": ([], []), "processor": ([], [])}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "texts.json"
        file.write_text(json.dumps(texts))
        command = [arguments.binary, arguments.model, str(file), str(arguments.threads), "1"]
        for _ in range(arguments.rounds):
            began, burnt = time.perf_counter(), time.process_time()
            model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
            rates["wall"][0].append(len(texts) / (time.perf_counter() - began))
            rates["processor"][0].append(len(texts) / (time.process_time() - burnt))
            before = children()
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            assert told["rows"] == len(texts), told
            rates["wall"][1].append(told["rows"] / told["seconds"])
            rates["processor"][1].append(told["rows"] / (children() - before))
            print(
                *(f"{kind}: sentence-transformers {peer[-1]:.1f}, Dipole {ours[-1]:.1f} rows/s;" for kind, (peer, ours) in rates.items()),
                flush=True,
            )
    for kind, (peer, ours) in rates.items():
        peer, ours = statistics.median(peer), statistics.median(ours)
        print(f"{kind}, medians: sentence-transformers {peer:.1f}, Dipole {ours:.1f}, ratio {ours / peer:.2f}")


def children():
    """Processor seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
