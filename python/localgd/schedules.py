"""Learning rates as functions of the round, and of where the model is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import _validation as check

__all__ = ["Polyak", "Polynomial", "RiskAdapted", "Schedule", "TwoStage"]

PRESETS = ("1/H", "1/(LH)")  # H is the smoothness constant of the problem and loss


@dataclass(frozen=True)
class TwoStage:
    """A small learning rate first, a large one from a given round on.

    ``η_k = lr1 if k < switch_round else lr2``

    Parameters
    ----------
    lr1, lr2 : float > 0
        The learning rates before and after.
    switch_round : int >= 0
        The first round of the second stage.

    Raises
    ------
    ValueError, TypeError
        For learning rates that are not positive numbers, or a round that is not an integer.

    References
    ----------
    Crawshaw, Woodworth, Liu, arXiv:2501.13790.

    Examples
    --------
    >>> import localgd as lg
    >>> schedule = lg.TwoStage(lr1=0.01, lr2=1.0, switch_round=100)
    >>> schedule(99), schedule(100)
    (0.01, 1.0)
    """

    lr1: float
    lr2: float
    switch_round: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr1", check.number("lr1", self.lr1, above=0))
        object.__setattr__(self, "lr2", check.number("lr2", self.lr2, above=0))
        switch_round = check.integer("switch_round", self.switch_round, 0)
        object.__setattr__(self, "switch_round", switch_round)

    def __call__(self, round: int) -> float:
        """The learning rate of that round."""
        return self.lr1 if round < self.switch_round else self.lr2


@dataclass(frozen=True)
class Polynomial:
    """A learning rate that decays like a power of the round.

    ``η_k = lr0 / (k + 1)^power``

    Parameters
    ----------
    lr0 : float > 0
        The learning rate of round 0.
    power : float >= 0
        0 for a constant rate.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Robbins and Monro, Ann. Math. Statist. 22 (1951), doi:10.1214/aoms/1177729586.

    Examples
    --------
    >>> import localgd as lg
    >>> schedule = lg.Polynomial(lr0=1.0, power=0.5)
    >>> schedule(0), schedule(3)
    (1.0, 0.5)
    """

    lr0: float
    power: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr0", check.number("lr0", self.lr0, above=0))
        object.__setattr__(self, "power", check.number("power", self.power, minimum=0))

    def __call__(self, round: int) -> float:
        """The learning rate of that round."""
        try:
            return self.lr0 / (round + 1) ** self.power
        except OverflowError:  # of Python's power, where that of NumPy would be infinite
            return 0.0


@dataclass(frozen=True)
class RiskAdapted:
    """A learning rate that grows as the risk falls: gradient descent on its logarithm.

    ``η_k = η / f(w_k)``, or ``η / f_i(w)`` on each client at every local step

    On separable rows the direction of the model is then reached like 1/k, where a constant rate
    needs 1/log k. Where to depends on whose risk it is. One rate for all clients descends
    ``log Σ_i p_i f_i`` and goes to the max-margin direction of all rows
    (:func:`localgd.reference.max_margin`). Own rates descend ``Σ_i p_i log f_i``, another
    objective, and go to the largest *average* of the clients' margins
    (:func:`localgd.reference.average_margin`).

    f is the objective of the run: the loss on all clients, whoever takes part in a round, with
    (λ/2)‖w‖² where there is ``l2``. Local steps see ``exp(-(m + log f))`` and not f, so that
    neither margins of 10^6 nor losses below 1e-308 leave the range of numbers; the history has
    ``log_loss`` for these. Of several classes, with ``l2``, and with FedProx or SCAFFOLD, η/f
    itself is the rate, and a run ends as diverged once that overflows.

    Parameters
    ----------
    eta : float > 0
        η, the length of a step of gradient descent on log f.
    own : bool, default False
        Each client goes by its own risk, anew at every local step. For the exponential and the
        logistic loss, with full batches and without ``l2``, μ and corrections; engine primal has
        it of sparse rows alone.

    Raises
    ------
    ValueError, TypeError
        For an η that is not a positive number.

    References
    ----------
    Zhang et al., arXiv:2504.04105, without local steps. Flows of convex functions: Pazy, Israel J.
    Math. 9 (1971), doi:10.1007/BF02771588.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> best = lg.reference.max_margin(problem)
    >>> method = lg.LocalGD(local_steps=10, lr=lg.RiskAdapted(0.05))
    >>> run = lg.run(problem, method, rounds=1000, reference=best)
    >>> print(f"{run.history['angle'][-1]:.3f} radians, log f = {run.history['log_loss'][-1]:.0f}")
    0.108 radians, log f = -10
    """

    eta: float
    own: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", check.number("eta", self.eta, above=0))
        check.flag("own", self.own)


@dataclass(frozen=True)
class Polyak:
    """Polyak's learning rate: the gap to the minimum over the squared gradient.

    ``η_k = scale (f(w_k) - f*) / ‖∇f(w_k)‖²``

    f and its gradient are those of the objective of the run, of all clients, with ``l2``. Where f
    tends to 0 on separable rows, f* = 0, that is RiskAdapted with ``η = scale/‖∇ log f‖²``, as
    long as margins may be. The rate is 0 where f is not above f*.

    Parameters
    ----------
    f_star : float, default 0
        f*, the least value of f, or what is known to be below it.
    scale : float > 0, default 1
        1 is Polyak's rate for one step; L local steps may want 1/L.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Polyak, Introduction to Optimization, 1987, section 5.3. Hazan and Kakade, arXiv:1905.00313.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> best = lg.reference.max_margin(problem)
    >>> run = lg.run(problem, lg.GD(lr=lg.Polyak()), rounds=1000, reference=best)
    >>> print(f"{run.history['angle'][-1]:.3f} radians")
    0.002 radians
    """

    f_star: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "f_star", check.number("f_star", self.f_star))
        object.__setattr__(self, "scale", check.number("scale", self.scale, above=0))


RULES = (RiskAdapted, Polyak)  # of the core
Schedule = float | str | Callable[..., float] | RiskAdapted | Polyak
STATE = ("loss", "grad_norm", "norm")  # what a callable may ask for beside the round


def check_schedule(lr: Any) -> Schedule:
    """A positive number, a preset, a rule or a callable, unchanged."""
    if isinstance(lr, str) and lr == "1/LH":  # as the shell writes it
        return "1/(LH)"
    if callable(lr) or isinstance(lr, RULES) or (isinstance(lr, str) and lr in PRESETS):
        return lr
    try:
        return check.number("lr", lr, above=0)
    except TypeError:
        raise TypeError(
            f"lr: got {lr!r}; want a number above 0, '1/H', '1/(LH)', a schedule, or a callable "
            "round -> float"
        ) from None


def by_core(lr: Any) -> dict[str, Any]:
    """By which rule the core makes the rates of the rounds, from the numbers of :func:`rates`."""
    if isinstance(lr, RiskAdapted):
        return {"kind": "own_risk" if lr.own else "risk", "least": 0.0}
    if isinstance(lr, Polyak):
        return {"kind": "polyak", "least": lr.f_star}
    return {"kind": "given", "least": 0.0}


def asks_for(lr: Any) -> tuple[str, ...]:
    """What a callable wants to be given by name; empty if it takes the round alone.

    That is so unless all of its arguments are named round, loss, grad_norm or norm, one of the
    latter among them.
    """
    try:
        names = tuple(inspect.signature(lr).parameters) if callable(lr) else ()
    except (TypeError, ValueError):  # of some built-in functions nothing is known
        return ()
    known = all(name == "round" or name in STATE for name in names)
    return names if known and any(name in STATE for name in names) else ()


def sees_state(lr: Any) -> bool:
    """Whether rates depend on where the model is."""
    return isinstance(lr, RULES) or bool(asks_for(lr))


def rates(lr: Schedule, first: int, until: int) -> list[float]:
    """The numbers of rounds first to until - 1; one stands for all when constant.

    Those are the learning rates, or what the core makes them of.
    """
    if isinstance(lr, RiskAdapted):
        return [lr.eta]
    if isinstance(lr, Polyak):
        return [lr.scale]
    if not callable(lr):
        return [float(lr)]
    return [_rate(lr(k), k) for k in range(first, until)]


def rate_at(lr: Callable[..., float], round: int, seen: Mapping[str, float]) -> float:
    """The rate of a callable that sees the state; inf where it overflows, as 0.05/loss does."""
    state = {"round": round, **seen}
    try:
        value = lr(**{name: state[name] for name in asks_for(lr)})
    except (ZeroDivisionError, OverflowError):
        return math.inf
    infinite = isinstance(value, float) and value == math.inf
    return math.inf if infinite else _rate(value, round)


def _rate(value: Any, round: int) -> float:
    if type(value) is float and 0 < value < math.inf:  # nearly always, and 15 times as fast
        return value
    try:
        return check.number("lr", value, above=0)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"lr: the schedule gave {value!r} for round {round}; want numbers above 0"
        ) from None
