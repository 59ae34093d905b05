"""
Constant and falling step sizes
===============================

A step size that falls takes the offset of Local-GD away, and is slow; two stages are a
compromise.
"""

import matplotlib.pyplot as plt

import localgd as lg

problem = lg.datasets.make_nonseparable(
    n_clients=5, n_samples=50, n_features=10, seed=0, heterogeneity=1.0
)
objective = {"loss": "logistic", "l2": 1e-2}
minimum = lg.reference.minimizer(problem, **objective)
schedules = {
    "1": 1.0,
    "1/√(k + 1)": lg.Polynomial(1.0, 0.5),
    "1/(k + 1)": lg.Polynomial(1.0, 1.0),
    "1, then 0.01": lg.TwoStage(1.0, 0.01, switch_round=100),
}
figure, ax = plt.subplots(layout="constrained")
for name, lr in schedules.items():
    run = lg.run(problem, lg.LocalGD(10, lr), rounds=10_000, reference=minimum, **objective)
    ax.loglog(run.history["round"][1:], run.history["suboptimality"][1:], label=f"η = {name}")
ax.set(xlabel="Communication rounds", ylabel="$f - f^*$")
ax.legend(frameon=False)
