"""
How different the clients are
=============================

The angle between what each client would learn alone and what all learn together, against the α of
the Dirichlet distribution by which labels were dealt.
"""

import matplotlib.pyplot as plt
import numpy as np

import localgd as lg

X, y = lg.datasets.load_digits(classes=(3, 8))
alphas = [0.1, 0.3, 1.0, 3.0, 10.0, 100.0]
figure, ax = plt.subplots(layout="constrained")
for seed in range(3):
    angles = []
    for alpha in alphas:
        problem = lg.partition(X, y, n_clients=5, scheme=lg.Dirichlet(alpha), seed=seed)
        angles.append(np.degrees(lg.analysis.heterogeneity(problem).mean_to_global))
    ax.semilogx(alphas, angles, marker="o", label=f"seed {seed}")
ax.set(xlabel="α", ylabel="Mean angle to the pooled direction, degrees")
ax.legend(frameon=False)
