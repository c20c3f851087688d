"""One balanced Sinkhorn solve by a peer of Dipole, in float32, kernel construction counted.

The peers of benches/transport.rs, which calls it:
    sinkhorn.py FOLDER THREADS PEER EPSILON TOLERANCE
FOLDER holds x.npy, y.npy (unit rows) and a.npy (weights of x; those of y are uniform). The cost is 1 - x·y, epsilon is
absolute, and a solve ends when the L1 error of the column marginal is at most the tolerance. PEER is `numpy` or `torch`
(the kernel-form loop as one writes it by hand), `pot` (ot.sinkhorn) or `ott` (OTT-JAX, dense, with Anderson
acceleration). It writes f.npy and g.npy, the potentials in the KL convention P = a b exp((f + g - C)/epsilon), and
prints one JSON object: seconds of build and solve, iterations, and the extra peak memory in MB.
"""

import json
import os
import sys
import time

folder, threads, peer = sys.argv[1:4]
epsilon, tolerance = map(float, sys.argv[4:6])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = threads

import numpy as np  # noqa: E402  (the thread count must stand before)

if peer == "torch":
    import torch

    torch.set_num_threads(int(threads))
elif peer == "pot":
    import ot
elif peer == "ott":
    import jax
    import jax.numpy as jnp
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import acceleration, sinkhorn

x, y, a = (np.load(os.path.join(folder, name + ".npy")).astype(np.float32) for name in "xya")
b = np.full(len(y), 1 / len(y), np.float32)
MOST = 20_000


def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def with_numpy():
    kernel = x @ y.T
    kernel -= 1
    kernel /= np.float32(epsilon)
    np.exp(kernel, out=kernel)
    built = time.perf_counter()
    v = np.ones(len(y), np.float32)
    for count in range(1, MOST):
        u = 1 / (kernel @ (b * v))
        column = kernel.T @ (a * u)
        if np.abs(b * (v * column - 1)).sum() <= tolerance:
            break
        v = 1 / column
    return built, epsilon * np.log(u), epsilon * np.log(v), count


def with_torch():
    tx, ty, ta, tb = map(torch.from_numpy, (x, y, a, b))
    kernel = tx @ ty.T
    kernel.sub_(1).div_(epsilon).exp_()
    built = time.perf_counter()
    v = torch.ones(len(y))
    for count in range(1, MOST):
        u = 1 / (kernel @ (tb * v))
        column = kernel.T @ (ta * u)
        if (tb * (v * column - 1)).abs().sum() <= tolerance:
            break
        v = 1 / column
    return built, (epsilon * u.log()).numpy(), (epsilon * v.log()).numpy(), count


def with_pot():
    cost = 1 - x @ y.T
    built = time.perf_counter()
    # Its own error is the L2 norm, looked at every tenth iteration.
    stop = tolerance / np.sqrt(len(y))
    _, log = ot.sinkhorn(a, b, cost, epsilon, stopThr=stop, numItermax=MOST, log=True, warn=False)
    f, g = epsilon * np.log(log["u"] / a), epsilon * np.log(log["v"] / b)
    return built, f, g, int(log["niter"]) + 1


if peer == "ott":
    # Compiled once: what is measured is the second call.
    ott_solver = jax.jit(
        sinkhorn.Sinkhorn(threshold=tolerance, max_iterations=MOST, anderson=acceleration.AndersonAcceleration())
    )


def with_ott():
    cost = 1 - jnp.asarray(x) @ jnp.asarray(y).T
    problem = linear_problem.LinearProblem(geometry.Geometry(cost, epsilon=epsilon), jnp.asarray(a), jnp.asarray(b))
    built = time.perf_counter()
    out = ott_solver(problem)
    out.f.block_until_ready()
    f = np.asarray(out.f) - epsilon * np.log(a)
    g = np.asarray(out.g) - epsilon * np.log(b)
    return built, f, g, int(out.n_iters)


solve = {"numpy": with_numpy, "torch": with_torch, "pot": with_pot, "ott": with_ott}[peer]
if peer == "torch":
    torch.exp(torch.from_numpy(x[:256]) @ torch.from_numpy(x[:256]).T)
elif peer == "ott":
    solve()  # compiles
else:
    np.exp(x[:256] @ x[:256].T)  # wakes the BLAS threads
try:
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")
except OSError:
    pass
before = kilobytes("VmRSS")
began = time.perf_counter()
built, f, g, count = solve()
ended = time.perf_counter()
extra = (kilobytes("VmHWM") - before) / 1000
np.save(os.path.join(folder, "f.npy"), f.astype(np.float32))
np.save(os.path.join(folder, "g.npy"), g.astype(np.float32))
print(json.dumps({"build": built - began, "solve": ended - built, "iterations": count, "extra_mb": extra}))
