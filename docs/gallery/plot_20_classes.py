"""
Ten classes
===========

Softmax regression on all digits, sorted by label over the clients: accuracy on held-out rows.
"""

import matplotlib.pyplot as plt

import localgd as lg

X, y = lg.datasets.load_digits(classes=tuple(range(10)))
held = slice(0, None, 4)
train = [j for j in range(len(y)) if j % 4]
problem = lg.partition(X[train], y[train], n_clients=10, scheme=lg.Contiguous("label", False))
figure, ax = plt.subplots(layout="constrained")
for L in (1, 10, 100):
    run = lg.run(problem, lg.LocalGD(L, 3.0), rounds=1000, test=(X[held], y[held]))
    ax.semilogx(run.history["round"][1:], run.history["test_accuracy"][1:], label=f"L = {L}")
ax.set(xlabel="Communication rounds", ylabel="Accuracy on held-out rows")
ax.legend(frameon=False)
