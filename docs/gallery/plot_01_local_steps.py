"""
Any number of local steps, one direction
========================================

On separable rows Local-GD turns towards the max-margin direction of the pooled rows, however many
local steps L the clients take. More of them make it faster, like log L.
"""

import localgd as lg

X, y = lg.datasets.load_digits(classes=(3, 8))
problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=0)
best = lg.reference.max_margin(problem)
runs = {
    f"L = {L}": lg.run(problem, lg.LocalGD(L, lr=1.0), rounds=10_000, reference=best)
    for L in (1, 10, 100)
}
lg.plot.convergence(runs, best)
