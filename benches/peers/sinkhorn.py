"""Ten Sinkhorn iterations at uniform weights on two references, as one writes them by hand in NumPy (float32).

The peer of benches/transport.rs, which calls it:
    sinkhorn.py FOLDER THREADS ITERATIONS EPSILON_SAFE EPSILON_HARMFUL
FOLDER holds custom.npy, safe.npy, harmful.npy (unit rows, float32). It writes safe.f.npy and harmful.f.npy, the
row potentials, and prints one JSON object: seconds of the build, of each iteration, and of the whole.
"""

import json
import os
import sys
import time

folder, threads, iterations = sys.argv[1], sys.argv[2], int(sys.argv[3])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = threads

import numpy as np  # noqa: E402  (the thread count must stand before)


def load(name):
    return np.load(os.path.join(folder, name + ".npy"))


x = load("custom")
references = {name: load(name) for name in ("safe", "harmful")}
epsilons = dict(zip(references, map(np.float32, sys.argv[4:6])))
n = len(x)
a = np.full(n, 1 / n, np.float32)
np.exp(x[:256] @ x[:256].T)  # wakes the BLAS threads

began = time.perf_counter()
kernels = {}
for name, y in references.items():
    kernel = x @ y.T
    kernel -= 1
    kernel /= epsilons[name]
    np.exp(kernel, out=kernel)
    kernels[name] = kernel
built = time.perf_counter()

v = {name: np.ones(len(y), np.float32) for name, y in references.items()}
u, marks = {}, [built]
for _ in range(iterations):
    for name, kernel in kernels.items():
        m = kernel.shape[1]
        u[name] = 1 / (kernel @ (v[name] / np.float32(m)))
        v[name] = 1 / (kernel.T @ (a * u[name]))
    marks.append(time.perf_counter())

for name in references:
    np.save(os.path.join(folder, name + ".f.npy"), epsilons[name] * np.log(u[name]))
steps = [after - before for before, after in zip(marks, marks[1:])]
print(json.dumps({"build": built - began, "iterations": steps, "solve": marks[-1] - began, "numpy": np.__version__}))
