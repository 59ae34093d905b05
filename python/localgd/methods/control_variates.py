"""SCAFFOLD."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from ..schedules import Schedule
from .base import Method
from .rule import LocalRule

__all__ = ["Scaffold"]


@dataclass(frozen=True, repr=False)
class Scaffold(Method):
    """SCAFFOLD: control variates take the drift out of the local steps.

    ``w_{k,i} ← w_{k,i} - η (∇f_i(w_{k,i}) - c_i + c)`` (L times from w_k),
    ``c_i ← c_i - c + (w_k - w_{k,i})/(L η)``, ``c = Σ_i p_i c_i``

    So c_i becomes the mean of the client's gradients along its path (the second option of the
    paper). The c_i begin at 0; those of clients that sit out a round stay.

    With λ > 0 in the objective the c_i are of the loss part of f_i alone, without λ w:
    ``c_i ← c_i - c + (w_k - w_{k,i})/(τ η) - λ w_k`` with ``τ = Σ_{l<L} (1 - ηλ)^l``, the mean in
    which step l weighs ``(1 - ηλ)^{L-1-l}``.

    Parameters
    ----------
    local_steps : int >= 1, or sequence of M ints
        L.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``, a function of
        ``round``, ``loss``, ``grad_norm`` and ``norm`` by name, :class:`localgd.RiskAdapted` or
        :class:`localgd.Polyak`.
    batch_size : int >= 1 or None, keyword-only, default None
        Rows per step, as for :class:`localgd.LocalSGD`; None: all.
    replacement : bool, keyword-only, default False
        As for :class:`localgd.LocalSGD`.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`. The paper's server learning rate is
        ``server=ServerSGD(lr)``.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, ICML 2020, arXiv:1910.06378.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.Scaffold(local_steps=10, lr=0.5, batch_size=4)
    Scaffold(local_steps=10, lr=0.5, batch_size=4)
    """

    local_steps: int | tuple[int, ...]
    lr: Schedule
    _: KW_ONLY
    batch_size: int | None = None
    replacement: bool = False

    @cached_property
    def rule(self) -> LocalRule:
        """L steps with control variates."""
        return LocalRule(
            local_steps=self.local_steps,
            batch_size=self.batch_size,
            replacement=self.replacement,
            correction="control",
        )
