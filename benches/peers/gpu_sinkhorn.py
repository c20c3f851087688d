"""Sinkhorn iterations at uniform weights on two references, on a GPU, as others do them (float32).

The peers of benches/gpu.rs, which calls it:
    gpu_sinkhorn.py FOLDER ITERATIONS EPSILON_SAFE EPSILON_HARMFUL ROUNDS
FOLDER holds custom.npy, safe.npy, harmful.npy (unit rows, float32). It prints one JSON object: the device, the copy
bandwidth that torch reaches on it, and for each peer the median seconds of build (from arrays in host memory), of one
iteration and of the whole, and the largest difference of its potentials from a float64 loop on sampled rows; or why a
peer was skipped.

Peers: torch with a kept kernel (two matrix-vector products an iteration), torch in the log domain (logsumexp), OTT-JAX
dense with the same number of iterations. torch needs CUDA or ROCm; without either it says so and stops.
"""

import json
import os
import statistics
import sys
import time

folder, iterations, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[5])
epsilons = {"safe": float(sys.argv[3]), "harmful": float(sys.argv[4])}

import numpy as np  # noqa: E402

arrays = {name: np.load(os.path.join(folder, name + ".npy")) for name in ("custom", "safe", "harmful")}
out = {"peers": {}}


def measured(run, wait):
    """Medians of (build, iteration, whole) and the potentials of the last round."""
    times = []
    for round_number in range(rounds + 1):
        wait()
        began = time.perf_counter()
        state, step, potentials = run()
        wait()
        built = time.perf_counter()
        for _ in range(iterations):
            state = step(state)
        wait()
        ended = time.perf_counter()
        if round_number > 0:  # the first round compiles and warms up
            times.append((built - began, (ended - built) / iterations, ended - began))
    medians = [statistics.median(column) for column in zip(*times)]
    return dict(zip(("build", "iteration", "solve"), medians)), potentials(state)


def exact(name, rows):
    """f of sampled rows by float64 loops over everything, from the peer's own column potentials; checks only that."""
    x, y = arrays["custom"][rows].astype(np.float64), arrays[name].astype(np.float64)
    return 1 - x @ y.T


def error(name, f, g):
    """How far f is from the row update of g, in standard deviations: 0 for a sound row update."""
    rows = np.linspace(0, len(f) - 1, 64).astype(int)
    scores = (g[None, :] - exact(name, rows)) / epsilons[name]
    top = scores.max(axis=1, keepdims=True)
    update = -epsilons[name] * (np.log(np.exp(scores - top).mean(axis=1)) + top[:, 0])
    difference = f[rows] - update
    return float(np.abs(difference - difference.mean()).max() / f.std())


def with_torch():
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("torch finds no GPU")
    torch.backends.cuda.matmul.allow_tf32 = False
    device, wait = torch.device("cuda"), torch.cuda.synchronize
    out["device"] = torch.cuda.get_device_name(0)
    source = torch.empty(256 << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    for _ in range(2):
        wait()
        began = time.perf_counter()
        for _ in range(20):
            target.copy_(source)
        wait()
        out["copy_bytes_per_second"] = 20 * 2 * source.numel() / (time.perf_counter() - began)
    n = len(arrays["custom"])

    def placed():
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}

    def kept():
        tensors = placed()
        kernels = {k: torch.exp((tensors["custom"] @ tensors[k].T - 1) / e) for k, e in epsilons.items()}

        def step(v):
            u = {k: 1 / (kernels[k] @ (v[k][1] / kernels[k].shape[1])) for k in kernels}
            return {k: (u[k], 1 / (kernels[k].T @ (u[k] / n)), v[k][1]) for k in kernels}

        def potentials(v):
            return {k: [(epsilons[k] * torch.log(p)).double().cpu().numpy() for p in (v[k][0], v[k][2])] for k in v}

        return {k: (None, torch.ones(len(arrays[k]), device=device)) for k in kernels}, step, potentials

    def log_domain():
        tensors = placed()
        costs = {k: (1 - tensors["custom"] @ tensors[k].T) / e for k, e in epsilons.items()}

        def step(g):
            result = {}
            for k, cost in costs.items():
                m = cost.shape[1]
                f = -torch.logsumexp(g[k][1][None, :] - cost, 1) + np.log(m)
                result[k] = (f, -torch.logsumexp(f[:, None] - cost, 0) + np.log(n), g[k][1])
            return result

        def potentials(g):
            return {k: [(epsilons[k] * p).double().cpu().numpy() for p in (g[k][0], g[k][2])] for k in g}

        return {k: (None, torch.zeros(len(arrays[k]), device=device)) for k in costs}, step, potentials

    for name, run in (("torch kernel form", kept), ("torch log domain", log_domain)):
        try:
            times, found = measured(run, wait)
            times["error"] = max(error(k, *found[k]) for k in found)
            out["peers"][name] = times
        except RuntimeError as failure:  # out of memory among others: published, not hidden
            out["peers"][name] = {"skipped": str(failure).splitlines()[0]}
        torch.cuda.empty_cache()


def with_ott():
    import jax
    import jax.numpy as jnp
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    if jax.default_backend() != "gpu":
        raise RuntimeError("jax finds no GPU")
    solver = sinkhorn.Sinkhorn(
        threshold=0.0, max_iterations=iterations, min_iterations=iterations, inner_iterations=iterations
    )

    @jax.jit
    def solve(x, y, epsilon):
        found = solver(linear_problem.LinearProblem(geometry.Geometry(cost_matrix=1 - x @ y.T, epsilon=epsilon)))
        return found.f, found.g

    times = []
    for round_number in range(rounds + 1):
        began = time.perf_counter()
        tensors = {name: jnp.asarray(array) for name, array in arrays.items()}
        found = {k: jax.block_until_ready(solve(tensors["custom"], tensors[k], e)) for k, e in epsilons.items()}
        if round_number > 0:
            times.append(time.perf_counter() - began)
    assert all(len(f) == len(arrays["custom"]) for f, _ in found.values())
    out["peers"]["ott-jax dense"] = {"solve": statistics.median(times)}


for name, peer in (("torch", with_torch), ("ott-jax", with_ott)):
    try:
        peer()
    except Exception as failure:  # a peer that is not installed or has no GPU is named, and the others run
        out["peers"][name] = {"skipped": f"{type(failure).__name__}: {failure}".splitlines()[0]}
print(json.dumps(out))
