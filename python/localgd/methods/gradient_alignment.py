"""GradAlign and FedGA: local work from a displaced start, so that client gradients align."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from ..schedules import Schedule
from .base import Method
from .rule import LocalRule

__all__ = ["FedGA", "GradAlign"]


@dataclass(frozen=True, repr=False)
class GradAlign(Method):
    """One gradient per client, at a point displaced towards larger disagreement.

    ``w_{k+1} = w_k - η Σ_i p_i ∇f_i(w_k + β (∇f_i(w_k) - ∇f(w_k)))``

    To first order in β this is gradient descent on ``f + (β/2) Σ p_i ‖∇f_i - ∇f‖²``: it lowers the
    variance of the clients' gradients. With sampled clients ∇f is the average over those of the
    round.

    Parameters
    ----------
    lr : float > 0, "1/H" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    beta : float >= 0
        β, the length of the displacement.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Dandi, Barba, Jaggi, AAAI 2022, arXiv:2106.13897.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.GradAlign(lr=1.0, beta=0.1)
    GradAlign(lr=1.0, beta=0.1)
    """

    lr: Schedule
    beta: float

    @cached_property
    def rule(self) -> LocalRule:
        """One step from the displaced start: the displacements cancel in the average."""
        return LocalRule(local_steps=1, correction="displacement", parameters={"beta": self.beta})


@dataclass(frozen=True, repr=False)
class FedGA(Method):
    """Local steps from a displaced start; the displacements cancel in the average.

    ``w_{k,i} ← w_k + β (∇f_i(w_k) - ∇f(w_k))``, then L steps ``w_{k,i} -= η ∇f_i(w_{k,i})``

    The displacement uses the full gradients, the steps may use batches. With sampled clients ∇f is
    the average over those of the round.

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    beta : float >= 0
        β, the length of the displacement.
    batch_size : int >= 1 or None, keyword-only, default None
        Rows per step, as for :class:`localgd.LocalSGD`; None: all.
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
    Dandi, Barba, Jaggi, AAAI 2022, arXiv:2106.13897.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.FedGA(local_steps=10, lr=1.0, beta=0.1)
    FedGA(local_steps=10, lr=1.0, beta=0.1)
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule
    beta: float
    _: KW_ONLY
    batch_size: int | None = None
    replacement: bool = False

    @cached_property
    def rule(self) -> LocalRule:
        """L steps from the displaced start."""
        return LocalRule(
            local_steps=self.local_steps,
            batch_size=self.batch_size,
            replacement=self.replacement,
            correction="displacement",
            parameters={"beta": self.beta},
        )
