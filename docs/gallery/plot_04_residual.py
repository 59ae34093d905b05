"""
The residual beside ŵ log τ
===========================

``w_k = ŵ log(ηLk) + ρ_k``, and on the span of the support rows ρ_k goes to ρ_S, which is computed
from the problem alone and does not know L.
"""

import matplotlib.pyplot as plt

import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
limit = lg.reference.asymptote(problem)
figure, ax = plt.subplots(layout="constrained")
for L in (1, 10, 100):
    run = lg.fast_forward(problem, lg.LocalGD(L, 1.0), rounds=1e100, asymptote=limit)
    ax.loglog(run.history["round"][1:], run.history["residual_distance"][1:], label=f"L = {L}")
ax.set(xlabel="Communication rounds", ylabel=r"Distance of $P_S\rho_k$ to $\rho_S$, relative")
ax.legend(frameon=False)
