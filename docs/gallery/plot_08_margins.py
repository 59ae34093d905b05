"""
The margins of all rows
=======================

The normalised margins of the rows of both labels. The smallest, that of the model, is on its way
to γ, the largest that any model can have.
"""

import localgd as lg

X, y = lg.datasets.load_digits(classes=(3, 8))
problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=0)
best = lg.reference.max_margin(problem)
run = lg.run(problem, lg.LocalGD(100, 1.0), rounds=10_000)
lg.plot.margins(problem, run.weights, ref=best)
