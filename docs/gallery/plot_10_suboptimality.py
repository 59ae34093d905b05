"""
To the minimum, with λ
======================

Regularised logistic regression: Local-GD and FedProx stop near the minimum, GD and SCAFFOLD go
on.
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
    "FedProx": lg.FedProx(10, "1/H", mu=0.01),
    "SCAFFOLD": lg.Scaffold(10, "1/H"),
}
figure, ax = plt.subplots(layout="constrained")
for name, method in methods.items():
    history = lg.run(problem, method, rounds=3000, reference=minimum, **objective).history
    ax.loglog(history["round"][1:], history["suboptimality"][1:], label=name)
ax.set(xlabel="Communication rounds", ylabel="$f - f^*$", ylim=(1e-13, None))
ax.legend(frameon=False)
