"""What fast-forward does not do, and why."""

from __future__ import annotations

import numbers

from ..errors import UnsupportedError
from ..losses import LOSSES, LossLike
from ..methods import Method
from ..participation import Participation
from ..problem import Problem
from ..schedules import Polynomial, Schedule, TwoStage
from ..servers import Anchored, Average, ServerSGD

__all__ = ["check_contracting", "check_smooth"]

SMALLEST = 1e-140  # size of rows
MOST_STATES = 6000  # of the linear map of SCAFFOLD with the squared loss


def check_smooth(problem: Problem, method: Method, loss: LossLike, lr: Schedule) -> None:
    """UnsupportedError with the reason if the rounds are not a smooth flow."""
    largest = 1.0 if problem.kernel else float(max(problem.X.max(), -problem.X.min()))
    if largest > 0 and not SMALLEST < largest < 1 / SMALLEST:
        raise UnsupportedError(
            f"problem: its largest number is {largest:.2g}, whose square leaves the range of "
            "floating-point numbers; divide the rows by their largest norm"
        )
    reason = _reason(problem, method, loss, lr)
    if reason is not None:
        raise UnsupportedError(f"method: {method!r} cannot be fast-forwarded: {reason}")


def check_contracting(problem: Problem, method: Method, loss: LossLike, lr: Schedule) -> None:
    """UnsupportedError with the reason if rounds with λ may have no fixed point."""
    reason = _random(problem, method)
    if reason is None and not isinstance(method.server, Average | ServerSGD):
        reason = (
            f"with λ and {type(method.server).__name__} the model does not come to rest; use run"
        )
    if reason is None and not isinstance(lr, numbers.Real | TwoStage):
        reason = "with λ the model rests at constant rates alone; want a number or TwoStage"
    if reason is not None:
        raise UnsupportedError(f"method: {method!r} cannot be fast-forwarded: {reason}")


def _random(problem: Problem, method: Method) -> str | None:
    if method.rule.stochastic:
        return "its batches are random, so that rounds do not follow a smooth flow; use run"
    if not Participation(problem, method, 0).full:
        sampled = isinstance(method.participation, float | int)
        how = "are sampled at random" if sampled else "take turns or come and go"
        return f"clients {how}; want participation=1.0, or use run"
    return None


def _reason(problem: Problem, method: Method, loss: LossLike, lr: Schedule) -> str | None:
    if (reason := _random(problem, method)) is not None:
        return reason
    if method.rule.solve:
        return (
            "the active rows of exact local solves change abruptly; they settle "
            "within rounds that run takes step by step"
        )
    if method.server.coordinate_wise:
        return f"{type(method.server).__name__} leaves the span of the rows; use run"
    if not isinstance(method.server, Average | Anchored | ServerSGD):
        return f"the flow of {type(method.server).__name__} is not known; use run"
    if not LOSSES[loss].has_curvatures:
        return f"the second derivative of the loss {loss!r} is not known; use run"
    if not LOSSES[loss].smooth:
        return f"the second derivative of the loss {loss!r} jumps, the flow with it; use run"
    if problem.task == "regression" and not LOSSES[loss].affine:
        return (
            f"with the loss {loss!r} rounds approach their fixed point geometrically, not along "
            "log(rounds); use run"
        )
    momentum = getattr(method.server, "momentum", 0.0) > 0
    if momentum and method.rule.correction == "control":
        return "momentum and control variates together are two memories; want one of them"
    if not _smooth_rate(lr):
        return "its learning rate is a function of your own; want a number, TwoStage or Polynomial"
    if LOSSES[loss].affine:
        return _nonlinear(problem, method, lr)
    return None


def _smooth_rate(lr: Schedule) -> bool:
    return isinstance(lr, numbers.Real | TwoStage | Polynomial)


def _nonlinear(problem: Problem, method: Method, lr: Schedule) -> str | None:
    if not isinstance(lr, numbers.Real):
        return "powers of one round map need a constant learning rate with the squared loss"
    states = (problem.n_clients + 1) * min(problem.X.shape)
    if method.rule.correction == "control":
        if not isinstance(method.server, ServerSGD) and isinstance(method.server, Anchored):
            return (
                "SCAFFOLD with the server Anchored() and the squared loss has no closed form here"
            )
        if states > MOST_STATES:
            return f"its linear map has {states:,} states; want at most {MOST_STATES:,}, or use run"
    return None
