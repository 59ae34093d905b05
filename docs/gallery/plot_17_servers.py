"""
Server optimizers
=================

What the server does with the mean change of a round: average, momentum, Adam, Yogi.
"""

import matplotlib.pyplot as plt

import localgd as lg

X, y = lg.datasets.load_breast_cancer()
problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(1.0), seed=0, scale="max_norm")
servers = {
    "average": lg.Average(),
    "momentum 0.9": lg.ServerSGD(1.0, momentum=0.9),
    "Adam": lg.ServerAdam(0.1),
    "Yogi": lg.ServerYogi(0.1),
}
figure, ax = plt.subplots(layout="constrained")
for name, server in servers.items():
    run = lg.run(problem, lg.LocalGD(5, 1.0, server=server), rounds=1000, loss="logistic")
    ax.loglog(run.history["round"][1:], run.history["loss"][1:], label=name)
ax.set(xlabel="Communication rounds", ylabel="Loss")
ax.legend(frameon=False)
