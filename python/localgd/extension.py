"""Whether a loss, a server or a measure of one's own is what the package takes it for."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _validation as check
from .own_loss import Loss
from .own_measures import OwnMeasure
from .own_server import checked_step, flat_state, whole_state
from .servers import CALLED, Server

__all__ = ["check_extension"]

SEED = 0
ROWS = 61
STEP = 1e-3  # of differences
SLACK = 1e-6  # of them, relative to what they are made of
SAME = 1e-12  # numbers of a row alone and among others
ROUNDS = 6


def check_extension(part: Any, *, shape: tuple[int, ...] = (5,)) -> None:
    """Try whether a loss, a server or a measure of your own keeps to what is asked of it.

    ``|ℓ'(m) - (ℓ(m + h) - ℓ(m - h))/2h|`` small at many m, and so on

    Of a :class:`Loss` it is tried that its functions give a finite number for each row, whatever
    rows stand beside it, leave what they are given as it is and give the same again; that slope and
    curvature are derivatives, within the bounds that were given, and that it has its tail. Of a
    :class:`Server`, that its steps give a model of the same shape and a state, change nothing in
    place, give the same again, also from a state that was saved and read, and that the first one
    goes the way of the clients' mean change. Of a measure, that it gives a number, the same again,
    and changes nothing.

    Parameters
    ----------
    part : Loss, Server or callable
        What is to be tried; a callable is taken for a measure.
    shape : tuple of int, default (5,)
        Of the models that servers and measures are tried on: (d,), or (d, C) for several classes.

    Raises
    ------
    ValueError
        For a part that is found wanting, with all that was found and where.
    TypeError
        For what is neither, a shape that no model has, and as running it raises.

    Warns
    -----
    UserWarning
        If the state of a server cannot be saved in a checkpoint.

    Notes
    -----
    It looks at some places only: between -30 and 30 for margins and scores. Errors that a function
    raises come as they are.

    Examples
    --------
    >>> import numpy as np
    >>> import localgd as lg
    >>> lg.check_extension(lg.Loss(np.cosh, np.sinh, np.cosh))
    >>> try:
    ...     lg.check_extension(lg.Loss(np.square, lambda m: -2 * m))
    ... except ValueError as error:
    ...     print(error)
    Loss('own'): slope: it has the other sign than differences of value
    """
    if not isinstance(shape, tuple) or len(shape) not in (1, 2):
        raise TypeError(f"shape: got {shape!r}; want (d,) or (d, C)")
    shape = tuple(check.integer("shape", size, 1) for size in shape)
    if isinstance(part, Loss):
        found = list(_of_loss(part))
    elif isinstance(part, Server):
        if part.kind != CALLED:
            raise TypeError(f"part: got {part!r} of the package; want one of your own")
        found = list(_of_server(part, shape))
    elif callable(part) and not isinstance(part, type):
        found = list(_of_measure(part, shape))
    else:
        raise TypeError(f"part: got {part!r}; want a Loss, a Server or a measure")
    if found:
        name = getattr(part, "__name__", type(part).__name__)
        name = repr(part) if isinstance(part, Loss) else name
        raise ValueError(f"{name}: " + "\n".join(found))


# -- Losses ----------------------------------------------------------------------------------------


def _of_loss(loss: Loss) -> Iterator[str]:
    u, y = _places(loss)
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "value": lambda at: loss.values(at, y[: len(at)]),
        "slope": lambda at: loss.slopes(at, y[: len(at)]),
    }
    if loss.has_curvatures:
        functions["curvature"] = lambda at: loss.curvatures(at, y[: len(at)])
    with np.errstate(all="ignore"):
        found = {
            name: list(_of_function(name, function, u)) for name, function in functions.items()
        }
        yield from (wrong for each in found.values() for wrong in each)
        if any(found.values()):
            return
        yield from _derivative("slope", "value", functions, u, loss)
        if loss.has_curvatures:
            yield from _derivative("curvature", "slope", functions, u, loss)
        yield from _facts(loss, functions["slope"], u)


def _places(loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Margins with targets of 1, or scores with targets."""
    rng = np.random.default_rng(SEED)
    u = rng.permutation(np.linspace(-30, 30, ROWS) + rng.uniform(-0.4, 0.4, ROWS))
    if loss.signed:
        return u, np.ones(ROWS)
    if "binary" in loss.tasks:
        return u, rng.choice([-1.0, 1.0], ROWS)
    return u, np.maximum(loss.least_target, -3.0) + rng.integers(0, 7, ROWS)


def _of_function(
    name: str, function: Callable[[np.ndarray], np.ndarray], u: np.ndarray
) -> Iterator[str]:
    """That each row has a number of its own."""
    given = u.copy()
    first = function(given)
    if not np.array_equal(given, u):
        yield f"{name}: it changes the array that it is given; want a new one"
        return
    if not np.isfinite(first).all():
        worst = int(np.argmin(np.isfinite(first)))
        yield f"{name}: {first[worst]} at {u[worst]:.3g}; want finite numbers between -30 and 30"
        return
    if not np.array_equal(first, function(u.copy())):
        yield f"{name}: it gives other numbers for the same rows a second time"
    for count in (1, 7):
        part = function(u[:count].copy())
        off = np.abs(part - first[: len(part)]) > SAME * np.abs(first[: len(part)])
        if off.any():
            at = int(np.argmax(off))
            yield (
                f"{name}: {part[at]:.6g} for a row that has {first[at]:.6g} among others; want "
                "each row by itself"
            )
            return


def _derivative(
    name: str,
    of: str,
    functions: dict[str, Callable[[np.ndarray], np.ndarray]],
    u: np.ndarray,
    loss: Loss,
) -> Iterator[str]:
    """Against differences, of two steps, so that the error is of fourth order."""
    got, function = functions[name](u), functions[of]
    wide, near = (
        (function(u + step) - function(u - step)) / (2 * step) for step in (2 * STEP, STEP)
    )
    want = near + (near - wide) / 3
    size = np.maximum(np.abs(function(u)) / STEP * 1e-9, np.maximum(np.abs(want), np.abs(got)))
    off = np.abs(got - want) > SLACK * size + 1e-12
    kinks = np.abs(near - wide) > 1e-3 * size  # where it jumps nearby nothing is known
    off &= ~kinks
    if off.any() and np.allclose(got[off], -want[off], rtol=1e-3):
        yield f"{name}: it has the other sign than differences of {of}"
    elif off.any():
        at = int(np.argmax(off))
        where = f"margin {u[at]:.3g}" if loss.signed else f"score {u[at]:.3g}"
        yield f"{name}: {got[at]:.3g} at {where}; want {want[at]:.3g}, by differences of {of}"


def _facts(loss: Loss, slope: Callable[[np.ndarray], np.ndarray], u: np.ndarray) -> Iterator[str]:
    bends = (slope(u + STEP) - slope(u - STEP)) / (2 * STEP)
    if loss.has_curvatures and (bends < -SLACK * np.abs(slope(u)).max()).any():
        at = int(np.argmin(bends))
        yield f"slope: it falls at {u[at]:.3g}; minimisers take the loss for convex"
    # Where there is no bound it is that at margin 0, from where margins grow.
    inside = u > 0 if loss.tail is not None else np.full(len(u), True)
    if (bends[inside] > loss.curvature * (1 + 1e-4)).any():
        yield (
            f"largest_curvature: got {loss.curvature:.6g}; the second derivative is "
            f"{bends[inside].max():.6g} at {u[inside][np.argmax(bends[inside])]:.3g}"
        )
    if loss.tail is not None:
        far = np.array([30.0, 33.0]) / loss.tail.rate
        factors = -slope(far) * np.exp(loss.tail.rate * far)
        if not np.allclose(factors, loss.tail.factor, rtol=1e-3):
            yield (
                f"tail: got a factor of {loss.tail.factor:g} at the rate {loss.tail.rate:g}; "
                f"-slope e^(rate m) is {factors[-1]:.6g} at margin {far[-1]:.3g}"
            )


# -- Servers ---------------------------------------------------------------------------------------


def _of_server(server: Any, shape: tuple[int, ...]) -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    w = rng.standard_normal(shape)
    state = server.start(w.copy())
    for round in range(ROUNDS):
        change = 0.1 * rng.standard_normal(shape)
        found = list(_of_step(server, w, change, state, round))
        yield from (f"step: {wrong}" for wrong in found)
        if found:
            return
        w, state = checked_step(server, w, change, state, round)


def _of_step(
    server: Any, w: np.ndarray, change: np.ndarray, state: Any, round: int
) -> Iterator[str]:
    kept, attributes = copy.deepcopy(state), copy.deepcopy(_plain(vars(server)))
    given = w.copy(), change.copy()
    new, after = checked_step(server, *given, state, round)
    if not (np.array_equal(given[0], w) and np.array_equal(given[1], change)):
        yield "it changes the arrays that it is given; want new ones"
    if _plain(state) != _plain(kept):
        yield "it changes the state that it is given in place; want a new one"
    if _plain(vars(server)) != attributes:
        yield "it changes its own attributes; want what changes in the state"
    if not np.isfinite(new).all():
        yield "it gives a model that is not finite"
    again, _ = checked_step(server, w.copy(), change.copy(), copy.deepcopy(kept), round)
    if not np.array_equal(again, new):
        yield "it gives another model for the same arguments a second time"
    if round == 0 and float(((new - w) * change).sum()) < 0:
        yield "its first step goes against the clients' mean change; want w + ..., not w - ..."
    yield from _of_state(server, new, change, after, round + 1)


def _of_state(
    server: Any, w: np.ndarray, change: np.ndarray, state: Any, round: int
) -> Iterator[str]:
    try:
        saved = whole_state(*flat_state(copy.deepcopy(state)))
    except TypeError as error:
        warnings.warn(str(error), UserWarning, stacklevel=5)
        return
    there, back = (
        checked_step(server, w.copy(), change.copy(), each, round)[0]
        for each in (copy.deepcopy(state), saved)
    )
    if not np.array_equal(there, back):
        yield "from a state that was saved and read it gives another model"


def _plain(value: Any) -> Any:
    """With arrays as what can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


# -- Measures --------------------------------------------------------------------------------------


def _of_measure(function: Callable[..., Any], shape: tuple[int, ...]) -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    w, gradients = rng.standard_normal(shape), rng.standard_normal((3, *shape))
    measure = OwnMeasure(getattr(function, "__name__", "measure"), function, lambda _: gradients)
    for round, models in enumerate((np.full_like(gradients, np.nan), gradients + w)):
        given = w.copy(), models.copy(), gradients.copy()
        try:
            first = measure(w, round, models)
        except ValueError as error:
            raise ValueError(
                f"{error} (on a model of shape {shape}; shape=problem.weights_shape tries it on "
                "those of a problem)"
            ) from error
        if not all(map(_same, given, (w, models, gradients))):
            yield "it changes the arrays that it is given; want new ones"
            return
        if not _same(np.array(first), np.array(measure(w, round, models))):
            yield "it gives another number for the same record a second time"
            return


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)
