"""Full-batch local steps: GD, Local-GD and Modified Local-GD."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

from ..errors import UnsupportedError
from ..schedules import Schedule
from ..servers import Anchored, Server
from .base import Method
from .rule import LocalRule

__all__ = ["GD", "LocalGD", "ModifiedLocalGD"]

ANCHORED = Anchored()


@dataclass(frozen=True, repr=False)
class LocalGD(Method):
    """Local gradient descent: L full-batch steps on every client, then the server's average.

    ``w_{k,i} ← w_{k,i} - η ∇f_i(w_{k,i})`` (L times from w_k), ``w_{k+1} = Σ_i p_i w_{k,i}``

    Also known as FedAvg with full batches.

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L, the gradient steps of each client per round; or one number for each client, which are
        then averaged by FedNova's rule (see ``fednova``).
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`. H is the smoothness
        constant, see :func:`localgd.analysis.smoothness`.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For fewer than one local step, or a learning rate that is not a positive number.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629; its limit: Zhu, Vardhan, Mazumdar,
    arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.LocalGD(local_steps=100, lr=1.0, participation=0.5)
    LocalGD(local_steps=100, lr=1.0, participation=0.5)
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule

    @cached_property
    def rule(self) -> LocalRule:
        """L full-batch steps."""
        return LocalRule(local_steps=self.local_steps)


@dataclass(frozen=True, repr=False)
class GD(Method):
    """Centralised gradient descent on the objective.

    ``w_{k+1} = w_k - η ∇f(w_k)``, ``f = Σ_i p_i f_i``

    With the p_i = n_i/N of ``weights="samples"``, the default of :class:`localgd.Problem`, that is
    gradient descent on the pooled rows; with others it is client-weighted.

    Parameters
    ----------
    lr : float > 0, "1/H" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For a learning rate that is not a positive number.

    References
    ----------
    Its limit on separable rows: Soudry et al., JMLR 19 (2018), arXiv:1710.10345.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.GD(lr=lg.Polynomial(lr0=1.0, power=0.5)).lr(3)
    0.5
    """

    lr: Schedule

    @cached_property
    def rule(self) -> LocalRule:
        """One step: the average of one per client is a step on f."""
        return LocalRule(local_steps=1)


@dataclass(frozen=True, repr=False)
class ModifiedLocalGD(Method):
    """Modified Local-GD: Local-GD, or exact local solves, with the anchored server.

    ``w_{k+1} = (1 - a) w_0 + a Σ_i p_i w_{k,i}``, ``a = (k + 1)/(k + 2)``

    With exact local solves it reaches the projection of w_0 on the feasible set, the max-margin
    solution for w_0 = 0, like 1/k. With L steps it keeps the max-margin direction for any η that
    is stable, whatever L.

    Parameters
    ----------
    local_steps : int >= 1, sequence of M ints, or None
        L. None: the exact local solve (see :class:`localgd.LocalSolve`), which takes no ``lr``.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    server : Anchored
        No other.
    participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`.

    Raises
    ------
    ValueError, TypeError
        For fewer than one local step, a learning rate that is not a positive number, or one given
        or missing where it should not be.
    UnsupportedError
        For another server: use :class:`localgd.LocalGD` with it.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971. The anchor: Halpern, Bull. AMS 73 (1967),
    doi:10.1090/S0002-9904-1967-11864-0.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.ModifiedLocalGD(local_steps=None)
    ModifiedLocalGD(local_steps=None)
    """

    local_steps: int | tuple[int, ...] | None
    lr: Schedule | None = None
    _: KW_ONLY
    server: Server = ANCHORED

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.server, Anchored):
            raise UnsupportedError(
                f"server: got {self.server!r}; ModifiedLocalGD is LocalGD with the server "
                "Anchored(): for another one use LocalGD or LocalSolve"
            )

    def _check_own(self) -> None:
        if self.local_steps is None:
            _no_rate(self.lr)
        elif self.lr is None:
            raise ValueError("lr: got None; want a learning rate for the local steps")
        else:
            super()._check_own()

    @cached_property
    def rule(self) -> LocalRule:
        """L full-batch steps, or the exact local solve."""
        if self.local_steps is None:
            return LocalRule(solve=True)
        return LocalRule(local_steps=self.local_steps)


def _no_rate(lr: Any) -> None:
    if lr is not None:
        raise ValueError(f"lr: got {lr!r}; the exact local solve (local_steps=None) takes none")
