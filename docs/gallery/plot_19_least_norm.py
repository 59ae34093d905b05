"""
Regression: the interpolant of least norm
=========================================

With more features than rows, Local-GD converges linearly to the interpolant nearest to the start,
for any number of local steps.
"""

import matplotlib.pyplot as plt
import numpy as np

import localgd as lg

problem = lg.datasets.make_regression(n_clients=5, n_samples=10, n_features=100, seed=0)
least = lg.reference.min_norm(problem).weights
figure, ax = plt.subplots(layout="constrained")
for L in (1, 10, 100):
    run = lg.run(
        problem,
        lg.LocalGD(L, 0.5),
        rounds=3000,
        record=range(0, 3000, 20),
        measures={"apart": lambda w: np.linalg.norm(w - least) / np.linalg.norm(least)},
    )
    ax.semilogy(run.history["round"], run.history["apart"], label=f"L = {L}")
ax.set(xlabel="Communication rounds", ylabel=r"$\Vert w_k - X^+y\Vert / \Vert X^+y\Vert$")
ax.legend(frameon=False)
