"""
Who holds which labels
======================

Ways to deal the same rows to ten clients.
"""

import matplotlib.pyplot as plt

import localgd as lg

X, y = lg.datasets.load_digits(classes=tuple(range(10)))
schemes = [lg.Iid(), lg.Dirichlet(0.3), lg.ByClass(2), lg.Quantity(0.5)]
figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
for ax, scheme in zip(axes.flat, schemes):
    lg.plot.clients(lg.partition(X, y, n_clients=10, scheme=scheme, seed=0), ax=ax)
    ax.set_title(str(scheme))
    ax.get_legend().remove()
