"""Writes the starter model's card from what its training told: `python tools/starter/card.py assets/models/starter`."""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
c = json.loads((folder / "card.json").read_text())


def pct(key: str) -> str:
    return f"{100 * c[key]:.0f} %" if key in c else "not measured"


rows = "\n".join(f"| {s} | {n:,} |" for s, n in sorted(c["sources"].items(), key=lambda x: -x[1]))
perplexity = f"{c['held_out_perplexity_of_answers']:.1f}" if "held_out_perplexity_of_answers" in c else "not measured"
(folder / "README.md").write_text(f"""# Starter model

A chat model of {c['parameters'] / 1e6:.1f} million parameters (Llama architecture, float16, byte-level BPE of 4,096 tokens), trained from nothing for Dipole. **For demonstration
only**: it shows that fine-tuning, comparing and embedding work without a download. It knows little, is often wrong, must not be used to
answer anybody, and proves nothing about real models.

| | |
|---|---|
| steps | {c['steps']:,}, {c['tokens']:,} tokens, {c['passes']:.1f} passes over the rows |
| made with | {c['device']}, {c['minutes']:g} minutes, seed {c['seed']} |
| rows | {c['rows']:,} |
| held-out perplexity of answers | {perplexity} over {c.get('held_out_rows','-')} rows |
| refuses unseen harmful acts | {pct('refusal_rate_on_unseen_harmful_acts')} |
| refuses unseen harmless look-alikes (over-refusal) | {pct('refusal_rate_on_unseen_look_alikes')} |
| refuses other unseen harmless acts (over-refusal) | {pct('refusal_rate_on_unseen_harmless_acts')} |
| refuses the held-out refusals of public sets | {pct('refusal_rate_on_held_out_refusals')} |

All figures are in `card.json`; refusals are told there by a short list of phrases, not by the rule of `dipole compare`.

## Data

Rows of public instruction sets labelled benign or safe refusal whose licence is MIT, Apache 2.0, CC BY or CC BY-SA (some repeated or thinned
out, so that no source drowns the others), and rows written for Dipole (`tools/starter/own_rows.py`: refusals of harmful requests, and answers
to harmless ones that sound alike). One public row in fifty was held out.

| source | rows |
|---|---:|
{rows}

The weights are offered under Dipole's licences, MIT or Apache-2.0, with the table above as attribution; some sources are CC BY-SA. The rows are not part
of this repository and keep the licences of their sources.

## Training it anew

`python tools/starter/train.py`; its header has the three commands (read the rows, train, measure); `tools/starter/card.py` writes this card.
""")
