"""
What it costs to communicate
============================

SCAFFOLD sends twice as many numbers a round as Local-GD. Against bits Local-GD is ahead until it
stops, short of the minimum.
"""

import matplotlib.pyplot as plt

import localgd as lg

X, y = lg.datasets.load_breast_cancer()
problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=0, scale="max_norm")
objective = {"loss": "logistic", "l2": 1e-3}
minimum = lg.reference.minimizer(problem, **objective)
methods = {
    "GD": lg.GD("1/H"),
    "Local-GD": lg.LocalGD(10, "1/H"),
    "SCAFFOLD": lg.Scaffold(10, "1/H"),
    "SCAFFOLD, 3 of 10 clients": lg.Scaffold(10, "1/H", participation=3, shares="unbiased"),
}
figure, ax = plt.subplots(layout="constrained")
for name, method in methods.items():
    history = lg.run(problem, method, rounds=3000, reference=minimum, **objective).history
    ax.loglog(history["bits"][1:], history["suboptimality"][1:], label=name)
ax.set(xlabel="Bits, both ways", ylabel="$f - f^*$", ylim=(1e-13, None))
ax.legend(frameon=False)
