"""
A hundred decades of rounds
===========================

The angle falls like 1/log k, so no loop shows where it ends. ``fast_forward`` integrates the
rounds in log k.
"""

import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
runs = {
    f"L = {L}": lg.fast_forward(problem, lg.LocalGD(L, 1.0), rounds=1e100, reference=best)
    for L in (1, 10, 100)
}
lg.plot.convergence(runs, best, asymptote=lg.reference.asymptote(problem, best))
