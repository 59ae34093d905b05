"""
Exact local solves
==================

If every client fits its own rows exactly, plain averaging stops short of the max-margin
direction. The anchored server of Modified Local-GD arrives, like 1/k.
"""

import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
runs = {
    "averaged": lg.run(problem, lg.LocalSolve(), rounds=1000, reference=best),
    "anchored": lg.run(problem, lg.ModifiedLocalGD(None), rounds=1000, reference=best),
    "100 gradient steps": lg.run(problem, lg.LocalGD(100, 1.0), rounds=1000, reference=best),
}
ax = lg.plot.convergence(runs, best)
ax.set_yscale("log")
