"""
Batches, and bands over seeds
=============================

Local-SGD with batches of different size: medians of ten seeds and the middle half of them. With a
constant step size the noise of the batches stays.
"""

import matplotlib.pyplot as plt
import numpy as np

import localgd as lg

problem = lg.datasets.make_nonseparable(n_clients=5, n_samples=64, n_features=10, seed=0)
objective = {"loss": "logistic", "l2": 1e-2}
minimum = lg.reference.minimizer(problem, **objective)
figure, ax = plt.subplots(layout="constrained")
for size in (1, 8, 64):
    table = lg.sweep(
        problem,
        lg.LocalSGD(10, 0.3, batch_size=size),
        grid={"seed": range(10)},
        rounds=1000,
        reference=minimum,
        **objective,
    )
    k = table.entries[0].history["round"][1:]
    gaps = np.array([entry.history["suboptimality"][1:] for entry in table])
    low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75], axis=0)
    ax.loglog(k, middle, label=f"batches of {size}")
    ax.fill_between(k, low, high, alpha=0.2)
ax.set(xlabel="Communication rounds", ylabel="$f - f^*$")
ax.legend(frameon=False)
