"""Methods: what the clients do between two communication rounds, and what the server does then."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from . import _validation as check
from .schedules import Schedule, check_schedule
from .servers import Average

__all__ = ["GD", "LocalGD", "Method"]

MAX_LOCAL_STEPS = 2**53


@dataclass(frozen=True)
class LocalGD:
    """Local gradient descent: L full-batch steps on every client, then the server's average.

    ``w_{k,i} ← w_{k,i} - η ∇f_i(w_{k,i})`` (L times from w_k), ``w_{k+1} = Σ_i p_i w_{k,i}``

    Also known as FedAvg with full batches.

    Parameters
    ----------
    local_steps : int >= 1
        L, the gradient steps of each client per round.
    lr : float > 0 or callable
        η, the same number in every round, or a schedule: ``round -> float``.
    server : Average, optional

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
    >>> lg.LocalGD(local_steps=100, lr=1.0)
    LocalGD(local_steps=100, lr=1.0, server=Average())
    """

    local_steps: int
    lr: Schedule
    _: KW_ONLY
    server: Average = field(default_factory=Average)

    def __post_init__(self) -> None:
        local_steps = check.integer("local_steps", self.local_steps, 1)
        if local_steps > MAX_LOCAL_STEPS:
            raise ValueError(f"local_steps: got {local_steps}; want at most 2**53")
        object.__setattr__(self, "local_steps", local_steps)
        object.__setattr__(self, "lr", check_schedule(self.lr))
        _check_server(self.server)


@dataclass(frozen=True)
class GD:
    """Centralised gradient descent on the pooled objective.

    ``w_{k+1} = w_k - η ∇f(w_k)``, ``f = Σ_i p_i f_i``

    Parameters
    ----------
    lr : float > 0 or callable
        η, the same number in every round, or a schedule: ``round -> float``.
    server : Average, optional

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
    _: KW_ONLY
    server: Average = field(default_factory=Average)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", check_schedule(self.lr))
        _check_server(self.server)

    @property
    def local_steps(self) -> int:
        """1: the average of one step per client is a step on the pooled objective."""
        return 1


Method = GD | LocalGD


def check_method(method: Any) -> Method:
    """A method, unchanged."""
    if not isinstance(method, Method):
        raise TypeError(f"method: got {method!r}; want GD(...) or LocalGD(...)")
    return method


def _check_server(server: Any) -> None:
    if not isinstance(server, Average):
        raise TypeError(f"server: got {server!r}; want Average()")
