"""
How far local steps stop from the minimum
=========================================

Circles: where Local-GD comes to rest. Lines: ``lg.analysis.local_offset``, from gradients and
Hessians at the minimum.
"""

import matplotlib.pyplot as plt

import localgd as lg

problem = lg.datasets.make_nonseparable(
    n_clients=5, n_samples=50, n_features=10, seed=0, heterogeneity=1.0
)
objective = {"loss": "logistic", "l2": 1e-2}
minimum = lg.reference.minimizer(problem, **objective)
rates = [0.01, 0.03, 0.1, 0.3, 1.0]
figure, ax = plt.subplots(layout="constrained")
for L in (2, 5, 20):
    methods = [lg.LocalGD(L, lr) for lr in rates]
    ends = [
        lg.run(problem, m, rounds=50_000, record=[], reference=minimum, **objective).history
        for m in methods
    ]
    predicted = [lg.analysis.local_offset(problem, m, minimum).distance for m in methods]
    (line,) = ax.loglog(rates, predicted, label=f"L = {L}")
    ax.plot(rates, [end["distance"][-1] for end in ends], "o", color=line.get_color())
ax.set(xlabel="η", ylabel=r"$\Vert \tilde w - w^*\Vert$")
ax.legend(frameon=False)
