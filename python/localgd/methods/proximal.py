"""FedProx."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from ..schedules import Schedule
from .base import Method
from .rule import LocalRule

__all__ = ["FedProx"]


@dataclass(frozen=True, repr=False)
class FedProx(Method):
    """Local steps that are pulled back to the global model.

    ``w_{k,i} ← w_{k,i} - η (∇f_i(w_{k,i}) + μ (w_{k,i} - w_k))`` (L times from w_k)

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    mu : float >= 0
        μ, the strength of the pull; the steps are stable only for ημ < 2.
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
    Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, MLSys 2020, arXiv:1812.06127.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.FedProx(local_steps=10, lr=1.0, mu=0.1, server=lg.ServerSGD(lr=1.0, momentum=0.9))
    FedProx(local_steps=10, lr=1.0, mu=0.1, server=ServerSGD(lr=1.0, momentum=0.9, nesterov=False))
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule
    mu: float
    _: KW_ONLY
    batch_size: int | None = None
    replacement: bool = False

    @cached_property
    def rule(self) -> LocalRule:
        """L steps with a proximal term."""
        return LocalRule(
            local_steps=self.local_steps,
            batch_size=self.batch_size,
            replacement=self.replacement,
            prox=self.mu,
        )
