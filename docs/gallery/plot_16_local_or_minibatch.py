"""
Local-SGD beside minibatch SGD
==============================

The same rows and the same messages a round: ten steps on batches of four, or one step on forty
rows. Local steps are ahead at first, the more so where clients are alike (left); with a constant
step size the noise of small batches, and what clients disagree on, then keeps them from the
minimum.
"""

import matplotlib.pyplot as plt

import localgd as lg

objective = {"loss": "logistic", "l2": 1e-2}
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, different in zip(axes, (0.0, 2.0)):
    problem = lg.datasets.make_nonseparable(
        n_clients=5, n_samples=200, n_features=10, seed=0, heterogeneity=different
    )
    minimum = lg.reference.minimizer(problem, **objective)
    for method in (lg.LocalSGD(10, 0.3, 4), lg.MinibatchSGD(10, 0.3, 4)):
        run = lg.run(problem, method, rounds=1000, reference=minimum, **objective)
        gap = run.history["suboptimality"][1:]
        ax.loglog(run.history["round"][1:], gap, label=type(method).__name__)
    ax.set(xlabel="Communication rounds", title=f"heterogeneity {different:g}")
axes[0].set_ylabel("$f - f^*$")
axes[0].legend(frameon=False)
