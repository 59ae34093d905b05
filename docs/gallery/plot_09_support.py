"""
The rows that carry the model
=============================

The max-margin model is a combination of few rows, ``ŵ = Σ α_j z_j``. The images with the largest
multipliers, signed by their label, and the model.
"""

import matplotlib.pyplot as plt
import numpy as np

import localgd as lg

X, y = lg.datasets.load_digits(classes=(3, 8))
problem = lg.partition(X, y, n_clients=10, scheme=lg.Iid(), seed=0)
best = lg.reference.max_margin(problem)
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8), layout="constrained")
for ax, j in zip(axes, np.argsort(-best.dual)):
    ax.imshow(problem.X[j].reshape(8, 8), cmap="Greys")
    ax.set_title(f"{'+' if problem.y[j] > 0 else '-'}{best.dual[j]:.0f}", fontsize=9)
axes[-1].imshow(best.direction.reshape(8, 8), cmap="RdBu")
axes[-1].set_title("model", fontsize=9)
for ax in axes:
    ax.axis("off")
