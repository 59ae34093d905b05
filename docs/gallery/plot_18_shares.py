"""
One client a round, of different size
=====================================

Where clients differ in their number of rows, dividing the weights of those who take part by their
sum leads to another minimum, for one client a round that of equal weights. ``shares="unbiased"``
and ``sampling="weight"`` do not. Steps fall, so that noise dies out.
"""

import warnings

import matplotlib.pyplot as plt

import localgd as lg

problem = lg.datasets.make_nonseparable(
    n_clients=4, n_samples=[10, 20, 60, 200], n_features=5, seed=0, heterogeneity=1.0
)
objective = {"loss": "logistic", "l2": 1e-1}
minimum = lg.reference.minimizer(problem, **objective)
ways = {
    "renormalized": {},
    "unbiased": {"shares": "unbiased"},
    "drawn by weight": {"sampling": "weight"},
}
figure, ax = plt.subplots(layout="constrained")
for name, way in ways.items():
    method = lg.LocalGD(1, lg.Polynomial(1.0, 0.6), participation=1, **way)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the first one is biased
        run = lg.run(problem, method, rounds=100_000, reference=minimum, **objective)
    ax.loglog(run.history["round"][1:], run.history["distance"][1:], label=name)
ax.set(xlabel="Communication rounds", ylabel=r"$\Vert w - w^*\Vert$")
ax.legend(frameon=False)
