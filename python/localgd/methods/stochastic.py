"""Local-SGD, and minibatch SGD at the same compute and communication."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from ..schedules import Schedule
from .base import Method
from .rule import LocalRule

__all__ = ["LocalSGD", "MinibatchSGD"]


@dataclass(frozen=True, repr=False)
class LocalSGD(Method):
    """Local stochastic gradient descent: L steps on batches of the client's rows.

    ``w_{k,i} ← w_{k,i} - (η/b) Σ_{j ∈ batch} ∇ℓ_ij(w_{k,i})`` (L times from w_k)

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    batch_size : int >= 1 or None, default 1
        b, rows per step. None: all rows, which is Local-GD. Without replacement a client with
        fewer rows uses all of them.
    replacement : bool, keyword-only, default False
        True: rows are drawn with replacement. False: every round deals the rows in a fresh random
        order, epoch after epoch; a batch at the end of an epoch is filled from the next.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Stich, ICLR 2019, arXiv:1805.09767; McMahan et al., AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.LocalSGD(local_steps=100, lr=0.1, batch_size=8)
    LocalSGD(local_steps=100, lr=0.1, batch_size=8)
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule
    batch_size: int | None = 1
    _: KW_ONLY
    replacement: bool = False

    @cached_property
    def rule(self) -> LocalRule:
        """L steps on batches."""
        return LocalRule(
            local_steps=self.local_steps, batch_size=self.batch_size, replacement=self.replacement
        )


@dataclass(frozen=True, repr=False)
class MinibatchSGD(Method):
    """Minibatch SGD: the rows of L local steps make one gradient, at w_k.

    ``w_{k+1} = w_k - η Σ_i p_i g_i``, ``g_i = (1/(L b)) Σ_{j ∈ L batches} ∇ℓ_ij(w_k)``

    The same compute and communication as :class:`localgd.LocalSGD` with these numbers, and, with
    the same seed, the same rows.

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L, the batches per round.
    lr : float > 0, "1/H" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    batch_size : int >= 1 or None, default 1
        b, rows per batch. None: all rows, which is GD.
    replacement : bool, keyword-only, default False
        As for :class:`localgd.LocalSGD`.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Woodworth, Patel, Srebro, NeurIPS 2020, arXiv:2006.04735.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.MinibatchSGD(local_steps=100, lr=1.0, batch_size=8, replacement=True)
    MinibatchSGD(local_steps=100, lr=1.0, batch_size=8, replacement=True)
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule
    batch_size: int | None = 1
    _: KW_ONLY
    replacement: bool = False

    @cached_property
    def rule(self) -> LocalRule:
        """One step on the rows of L batches."""
        return LocalRule(
            local_steps=self.local_steps,
            batch_size=self.batch_size,
            replacement=self.replacement,
            whole_round=True,
        )
