"""The losses: one object for each, which serves runs, gradients, minimisers and fast-forward.

What is known of them by name stands in the core (``cpp/core/loss/``), and a loss that is added
there is one here. What takes second derivatives wants an object with them, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _validation as check
from ._backend import core
from .errors import UnsupportedError
from .problem import Problem
from .rows import Rows, as_double

__all__ = [
    "LOSSES",
    "BaseLoss",
    "LossLike",
    "Tail",
    "check_loss",
    "client_gradients",
    "default_loss",
    "labels_of_margins",
    "loss_with_tail",
    "margin_rows",
    "pulls_of_rows",
]


@dataclass(frozen=True)
class Tail:
    """``-ℓ'(m) e^(rate m) → factor`` as the margin m grows."""

    rate: float
    factor: float


@dataclass(frozen=True)
class BaseLoss:
    """``ℓ(u, y)`` of the scores u = x·w of rows and their labels, (N,), or u (N, C) for classes.

    Of several targets both are (N, C), and the loss of a row is the sum over them.

    Values and derivatives are those of the core. A loss whose second derivatives are known has a
    class of its own.

    Attributes
    ----------
    tasks : tuple of str
        That it fits: binary, multiclass, regression.
    signed : bool
        It is a function of the margin y x·w alone: u may be margins with labels of 1.
    curvature : float
        The largest second derivative in the margins: where it has no bound, that at margin 0,
        where a run begins, if margins are to grow from there, or inf.
    tail : Tail or None
        None if none is known.
    bounded : bool
        |ℓ'| is, so that hardly any rate overflows.
    overflows : int
        -1 if ℓ does, as e^-m, at margins far below 0; 1 if it does, as e^u, far above.
    least_target : float
        Targets are no less than this.
    smooth : bool
        The second derivative does not jump. Where it does all local steps are taken, none is
        extrapolated.
    has_exact_solve : bool
        The exact local solve, margins of 1 or x·w = y, is that of the loss.
    """

    name: str
    tasks: tuple[str, ...]
    signed: bool
    curvature: float
    tail: Tail | None
    bounded: bool
    overflows: int
    least_target: float = -math.inf
    smooth: bool = True
    has_exact_solve: bool = True

    concordance: ClassVar[float | None] = None  # β with |ℓ'''| ≤ β ℓ'', if there is one
    affine: ClassVar[bool] = False  # ℓ' = u - y

    @property
    def core(self) -> Any:
        """What the core takes for it."""
        return self.name

    @property
    def multiclass(self) -> bool:
        return self.tasks == ("multiclass",)

    @property
    def has_curvatures(self) -> bool:
        return type(self).curvatures is not BaseLoss.curvatures

    @property
    def unit_tail(self) -> bool:
        """Whether ``-ℓ'(m) ~ e^-m``, by which margins grow like log k."""
        return self.signed and self.tail == Tail(1.0, 1.0)

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """ℓ of each row, (N,)."""
        return self._of_core(u, y)[0]

    def row_values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The same of rows of one target or of several, (N,)."""
        return self.values(u, y) if y.ndim == 1 else self._of_core(u, y)[0]

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The derivative by the scores, of their shape."""
        return self._of_core(u, y)[1]

    def means(self, u: np.ndarray) -> np.ndarray:
        """The target that a score stands for."""
        return u

    def sizes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of the slopes of one score, before anything cancels."""
        return np.abs(self.slopes(u, y))

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The second derivative, (N,) or (N, C, C); one of its limits where it jumps."""
        raise NotImplementedError(self.name)

    def roots(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """R with ``R Rᵀ`` the second derivative, of the same shape."""
        return np.sqrt(self.curvatures(u, y))

    def _of_core(self, u: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sign = y if self.signed else 1.0
        values, slopes = core.loss_of_rows(self.core, sign * u, y)
        return values, sign * slopes.reshape(u.shape)


class Exponential(BaseLoss):
    """``e^-m``."""

    concordance = 1.0

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-y * u)

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -y * np.exp(-y * u)

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-y * u)


class Logistic(BaseLoss):
    """``log(1 + e^-m)``."""

    concordance = 1.0

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, -y * u)

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -y * _special().expit(-y * u)

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _special().expit(-u) * _special().expit(u)


class Squared(BaseLoss):
    """``½ (u - y)²``."""

    concordance = 0.0
    affine = True

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (u - y) ** 2 / 2

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return u - y

    def sizes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.abs(u) + np.abs(y)

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.ones_like(u)


class SquaredHinge(BaseLoss):
    """``½ max(0, 1 - m)²``."""

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, 1 - y * u) ** 2 / 2

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -y * np.maximum(0.0, 1 - y * u)

    def sizes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(y * u < 1, 1 + np.abs(u), 0.0)

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(y * u < 1, 1.0, 0.0)


class Huber(BaseLoss):
    """``½ r²`` for ``|r| ≤ 1`` and ``|r| - ½`` beyond, ``r = u - y``.

    A threshold δ is this loss of targets y/δ: its weights are 1/δ of those, its values 1/δ², and
    learning rates and λ stay as they are.
    """

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        size = np.abs(u - y)
        return np.where(size > 1, size - 0.5, size**2 / 2)

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.clip(u - y, -1.0, 1.0)

    def sizes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(np.abs(u - y) < 1, np.abs(u) + np.abs(y), 1.0)

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(np.abs(u - y) < 1, 1.0, 0.0)


class Poisson(BaseLoss):
    """``e^u - y u`` of counts y with mean ``e^u``."""

    concordance = 1.0

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(u) - y * u

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(u) - y

    def means(self, u: np.ndarray) -> np.ndarray:
        return np.exp(u)

    def sizes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(u) + y

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(u)


class Softmax(BaseLoss):
    """``log Σ_c e^{u_c} - u_y``."""

    concordance = 1.0  # by the range of a row's scores

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        values: np.ndarray = _special().logsumexp(u, axis=1) - u[_own(y)]
        return values

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        slopes: np.ndarray = _special().softmax(u, axis=1)
        slopes[_own(y)] = 0.0
        slopes[_own(y)] = -slopes.sum(axis=1)  # 1 - p of a sure row, without cancellation
        return slopes

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        p, every = _special().softmax(u, axis=1), range(u.shape[1])
        curvatures: np.ndarray = -p[:, :, None] * p[:, None, :]
        curvatures[:, every, every] = 0.0
        curvatures[:, every, every] = -curvatures.sum(axis=2)
        return curvatures

    def roots(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        p = _special().softmax(u, axis=1)
        roots: np.ndarray = np.sqrt(p)
        return roots[:, :, None] * np.eye(u.shape[1]) - p[:, :, None] * roots[:, None, :]


def _special() -> Any:
    """scipy, which takes a while and which runs do without."""
    from scipy import special

    return special


def _own(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the scores of the rows' own classes are."""
    return np.arange(len(y)), y.astype(np.intp)


KINDS = {
    "exponential": Exponential,
    "logistic": Logistic,
    "squared_hinge": SquaredHinge,
    "squared": Squared,
    "huber": Huber,
    "poisson": Poisson,
    "softmax": Softmax,
}


def of_core(name: str, kind: type[BaseLoss] = BaseLoss) -> BaseLoss:
    """A loss of the core."""
    facts = core.schema()["losses"][name]
    tail = None if facts["tail"] is None else Tail(*facts["tail"])
    return kind(name, **{**facts, "tail": tail})


LossLike = str | BaseLoss  # by name, or an object


class Losses(dict[Any, BaseLoss]):
    """The losses of the core by name; one that is an object already stands for itself."""

    def __missing__(self, loss: Any) -> BaseLoss:
        if isinstance(loss, BaseLoss):
            return loss
        raise KeyError(loss)


LOSSES = Losses(
    {name: of_core(name, KINDS.get(name, BaseLoss)) for name in core.schema()["losses"]}
)


def check_loss(loss: Any, problem: Problem) -> LossLike:
    """A loss that fits the task, by name or as an object."""
    if not isinstance(loss, BaseLoss):
        if callable(loss):
            raise TypeError(f"loss: got {loss!r}; want lg.Loss(value, slope) of it and its slope")
        check.one_of("loss", loss, LOSSES)
    if problem.task not in LOSSES[loss].tasks:
        fitting = [name for name, known in LOSSES.items() if problem.task in known.tasks]
        raise ValueError(
            f"loss: {loss!r} does not fit a {problem.task} task; want {' or '.join(fitting)}"
        )
    least = LOSSES[loss].least_target
    if problem.least_target < least:
        raise ValueError(
            f"loss: {loss!r} wants targets of at least {least:g}; got {problem.least_target:g}"
        )
    return loss if isinstance(loss, BaseLoss) else str(loss)


def loss_with_tail(loss: Any, problem: Problem, what: str) -> BaseLoss:
    """A loss that fits the task and has a tail, on which ``what`` depends."""
    known = LOSSES[check_loss(loss, problem)]
    if known.tail is None:
        fitting = [
            name
            for name, other in LOSSES.items()
            if other.tail is not None and problem.task in other.tasks
        ]
        raise UnsupportedError(
            f"loss: got {loss!r}; want one whose exponential tail is known, on which {what}: "
            f"{' or '.join(map(repr, fitting)) or 'of a classification task'}"
        )
    return known


def default_loss(task: str) -> str:
    """The first loss that fits a task."""
    return next(name for name, loss in LOSSES.items() if task in loss.tasks)


def margin_rows(problem: Problem, loss: LossLike) -> Rows:
    """The rows whose products with w are the loss's margins, float64: y x if it is signed, or x."""
    return problem.signed_rows if LOSSES[loss].signed else as_double(problem.X)


def pulls_of_rows(problem: Problem, loss: LossLike, w: np.ndarray) -> np.ndarray:
    """ω_ij ℓ'/n_i of each row, with its sign or per class: ∇f_i is X_iᵀ of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        pulls = LOSSES[loss].slopes(problem.X @ w, problem.y)
    if not np.isfinite(pulls).all():
        raise ValueError(f"w: its {loss} loss is not finite; want a model closer to 0")
    if problem.relative_weights is not None:
        pulls = (pulls.T * problem.relative_weights).T
    found: np.ndarray = (pulls.T / np.repeat(problem.sizes, problem.sizes)).T
    return found


def client_gradients(problem: Problem, loss: LossLike, l2: float, w: np.ndarray) -> np.ndarray:
    """``∇f_i(w)``, λ included, of all clients, (M, d) or (M, d, C)."""
    pulls = pulls_of_rows(problem, loss, w)
    rows = map(problem.rows, range(problem.n_clients))
    of_data = np.stack([as_double(problem.X[own]).T @ pulls[own] for own in rows])
    return of_data + l2 * problem.penalized(w)


def labels_of_margins(problem: Problem, loss: LossLike) -> np.ndarray:
    """The labels beside those margins: 1 if the loss is signed."""
    return np.ones(problem.n_samples) if LOSSES[loss].signed else problem.y
