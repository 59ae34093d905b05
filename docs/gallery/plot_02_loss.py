"""
Local steps and the loss
========================

Against rounds, more local steps are far ahead. Against local steps all curves become one: on
separable rows a round of L steps is worth L rounds of one.
"""

import matplotlib.pyplot as plt

import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for L in (1, 10, 100, 1000):
    history = lg.run(problem, lg.LocalGD(L, lr=1.0), rounds=10_000).history
    left.loglog(history["round"][1:], history["loss"][1:], label=f"L = {L}")
    right.loglog(history["local_steps"][1:], history["loss"][1:])
left.set(xlabel="Communication rounds", ylabel="Loss")
right.set(xlabel="Local steps")
left.legend(frameon=False)
