"""
Large steps on separable rows
=============================

With large steps the loss may rise first; in the end they are ahead.
"""

import matplotlib.pyplot as plt

import localgd as lg

X, y = lg.datasets.load_digits(classes=(3, 8))
problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=0)
figure, ax = plt.subplots(layout="constrained")
for lr in (1.0, 10.0, 100.0, 1000.0):
    run = lg.run(problem, lg.LocalGD(10, lr), rounds=10_000, loss="logistic")
    ax.loglog(run.history["round"][1:], run.history["loss"][1:], label=f"η = {lr:g}")
ax.set(xlabel="Communication rounds", ylabel="Loss")
ax.legend(frameon=False)
