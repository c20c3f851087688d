"""Measures the map's projection beside umap-learn on the same vectors, in one run.

    pip install umap-learn scikit-learn numpy
    cargo build --release
    python benches/peers/umap_peer.py X.npy target/release/dipole [--rounds 1] [--threads 2] [--sample 5000]

X is a matrix of unit vectors, rows x dimensions. Both sides use 15 neighbours and, by default, the same threads;
umap-learn runs with its defaults (its `random_state` is unset, or it would use one thread only), Dipole with the
seed 0. Trustworthiness (k = 15) is scikit-learn's, exact, on the same seeded sample of rows for both pictures; that
of Dipole's own code is shown beside it. Rounds alternate; medians and their ratio are printed as JSON.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vectors")
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=5000)
    arguments = parser.parse_args()
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)

    import numpy
    import umap
    from sklearn.manifold import trustworthiness

    vectors = numpy.load(arguments.vectors)
    # Its functions are compiled on the first call, which is not what is measured.
    umap.UMAP(n_jobs=arguments.threads).fit_transform(vectors[:500])
    umap.UMAP(n_jobs=arguments.threads).fit_transform(vectors[: min(len(vectors), 5000)])
    sample = numpy.sort(numpy.random.default_rng(0).permutation(len(vectors))[: arguments.sample])
    seconds = {"dipole": [], "umap": []}
    trust = {"dipole": [], "umap": []}

    def judge(name, places):
        found = trustworthiness(vectors[sample], places[sample], n_neighbors=15)
        trust[name].append(float(found))

    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "places.npy"
        command = [arguments.binary, "bench", "project", "--json", "--quiet", "--x", arguments.vectors]
        command += ["--threads", str(arguments.threads), "--sample", str(arguments.sample), "--out", str(out)]
        for _ in range(arguments.rounds):
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            seconds["dipole"].append(told["plane_s"] + told["embedding_s"])
            judge("dipole", numpy.load(out))
            began = time.perf_counter()
            places = umap.UMAP(n_neighbors=15, n_jobs=arguments.threads).fit_transform(vectors)
            seconds["umap"].append(time.perf_counter() - began)
            judge("umap", places)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        json.dumps(
            {
                "rows": len(vectors),
                "dim": vectors.shape[1],
                "seconds": medians,
                "speed_ratio": medians["umap"] / medians["dipole"],
                "trustworthiness": {name: statistics.median(values) for name, values in trust.items()},
                "plane_trustworthiness": told["plane_trustworthiness"],
                "dipole_own_trustworthiness": told["embedding_trustworthiness"],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
