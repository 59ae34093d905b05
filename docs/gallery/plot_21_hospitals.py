"""
Is federated as good as pooled?
===============================

The Brier score of the federated model, the pooled one and each client's own, on rows that none
has seen, with bootstrap intervals.
"""

import numpy as np

import localgd as lg
from localgd.sklearn import FederatedClassifier

X, y = lg.datasets.load_breast_cancer()
sites = np.random.default_rng(0).choice(["east", "north", "west"], len(y), p=[0.6, 0.3, 0.1])
train = np.arange(len(y)) % 2 == 0
model = FederatedClassifier().fit(X[train], y[train], clients=sites[train])
table = lg.evaluate(
    model,
    X[~train],
    y[~train],
    clients=sites[~train],
    train=(X[train], y[train], sites[train]),
    bootstrap=200,
)
lg.plot.clients_compare(table, "brier")
