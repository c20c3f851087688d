"""Checks the Croissant metadata of an export with mlcroissant: it validates, and its record sets yield the rows of the manifest.

Use: check_croissant.py EXPORT_FOLDER   (PyPI: mlcroissant)
"""

import json
import pathlib
import sys

import mlcroissant

folder = pathlib.Path(sys.argv[1])
metadata = folder / "croissant.json"
card = (folder / "README.md").read_text(encoding="utf-8")
embedded = card.split("```json\n", 1)[1].split("```", 1)[0]
assert json.loads(embedded) == json.loads(metadata.read_text(encoding="utf-8")), "the card holds other metadata"

dataset = mlcroissant.Dataset(jsonld=str(metadata))
counts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["counts"]
for record_set, expected in (("rows", counts["kept"]), ("weights", counts["readable"])):
    found = sum(1 for _ in dataset.records(record_set))
    assert found == expected, f"{record_set}: {found} records, the manifest says {expected}"
    print(f"{record_set}: {found} records, as in the manifest")
