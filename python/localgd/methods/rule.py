"""What a client does in a round, as the core takes it: one rule of which each method is a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = ["LocalRule"]


@dataclass(frozen=True)
class LocalRule:
    """The local work of a round: start, steps, and what is added to the gradients.

    ``δ ← 0``, then L_i times ``δ ← (1 - η(λ+μ)) δ - η g_i(w_k + δ) - ηλ w_k + η q_i``

    g_i is the gradient of the loss part of f_i on all rows of the client or on a batch of them; λ,
    that of the objective, is not of the rule but an argument of a run. Displaced clients begin at
    ``δ = q_i`` instead, and have no q_i in their steps. The exact solve takes no steps.

    Attributes
    ----------
    local_steps : int or tuple of M ints
        L_i.
    solve : bool
        The exact local solve instead of steps.
    batch_size : int or None
        Rows of a batch; None: all.
    replacement : bool
        Batches are drawn with replacement; otherwise rows come in a fresh order, epoch by epoch.
    whole_round : bool
        The batches of all L_i steps make one gradient, at w_k.
    prox : float
        μ.
    correction : "none", "control" or "displacement"
        control: q_i = c_i - c, where c_i is the mean of the gradients g_i of the last round that
        the client took part in. displacement: q_i = β (∇f_i - ∇f) at w_k.
    parameters : mapping of str to float
        Those of the correction, by the names that they have in ``cpp/core/round/corrections/``:
        β of displacement is ``beta``.
    """

    local_steps: int | tuple[int, ...] = 1
    solve: bool = False
    batch_size: int | None = None
    replacement: bool = False
    whole_round: bool = False
    prox: float = 0.0
    correction: str = "none"
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def stochastic(self) -> bool:
        """Whether batches are drawn."""
        return self.batch_size is not None

    @property
    def unequal_steps(self) -> bool:
        """Whether some clients take more steps than others."""
        return not self.whole_round and np.unique(self.local_steps).size > 1

    def steps(self, n_clients: int) -> np.ndarray:
        """L_i of every client, shape (M,), int64."""
        if isinstance(self.local_steps, tuple) and len(self.local_steps) != n_clients:
            raise ValueError(
                f"local_steps: got {len(self.local_steps)} numbers; want one, or one for each of "
                f"{n_clients} clients"
            )
        return np.broadcast_to(np.array(self.local_steps, dtype=np.int64), (n_clients,)).copy()

    def core_steps(self, n_clients: int) -> np.ndarray:
        """The steps that the core takes: one where the batches of a round make one gradient."""
        steps = self.steps(n_clients)
        return np.ones_like(steps) if self.whole_round else steps

    def batches(self, sizes: np.ndarray) -> np.ndarray:
        """Rows per step of the core on every client, shape (M,), int64; 0 stands for all rows."""
        if self.batch_size is None:
            return np.zeros(len(sizes), dtype=np.int64)
        batches = np.full(len(sizes), self.batch_size, dtype=np.int64)
        if not self.replacement:  # a batch of all rows is the largest there is
            batches = np.minimum(batches, sizes)
        return batches * self.steps(len(sizes)) if self.whole_round else batches
