"""A loss of one's own, by functions of NumPy arrays or of native code."""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _validation as check
from ._backend import core
from .losses import LOSSES, BaseLoss, Tail
from .read_only import protect

__all__ = ["Loss"]

# What a native function takes: margins alone, or scores and targets; one row, or arrays of them.
KINDS = {
    ("double", ("double",)): (False, True),
    ("double", ("double", "double")): (True, True),
    ("void", ("double*", "double*", "int")): (False, False),
    ("void", ("double*", "double*", "double*", "int")): (True, False),
}
INTEGERS = {"long", "longlong", "int64_t", "intptr_t", "ssize_t", "Py_ssize_t", "npy_intp"}
WANTED = (
    "double (double), double (double, double), void (double *, double *, intptr_t) or "
    "void (double *, double *, double *, intptr_t)"
)
PLACES = np.linspace(-30.0, 30.0, 121)  # at which losses are compared


@dataclass(frozen=True, init=False, repr=False)
class Loss(BaseLoss):
    """A loss of one's own, by functions.

    ``ℓ(m)`` of margins m = y x·w for labels y = ±1, or ``ℓ(u, y)`` of scores u = x·w and targets y

    A function takes NumPy arrays, read-only, float64 of shape (n,), and returns as many numbers; or
    it is native: a ``scipy.LowLevelCallable``, a Numba ``cfunc`` or a ``ctypes`` function. Native
    ones run at nearly the speed of the losses of the package, others take some µs a call. All
    take margins, or all take scores and targets, and rows are independent of each other. Native
    functions are called by several threads at once, with one of these signatures, as C has them::

        double (double margin)
        double (double score, double target)
        void (const double *margins, double *out, intptr_t n)
        void (const double *scores, const double *targets, double *out, intptr_t n)

    The last two, which fill ``out[0] … out[n - 1]``, are vectorised by compilers, and faster.
    Local steps call with up to 512 rows of a client, and every step is taken. float32 runs, too,
    call with float64 numbers.

    Parameters
    ----------
    value : callable
        ℓ, recorded with every measure.
    slope : callable
        ℓ', the derivative by margin or score, of which the steps are made.
    curvature : callable, optional
        ℓ'', which minimisers and ``fast_forward`` take.
    name : str, default "own"
        In ``Run.config`` and messages.
    tasks : sequence of "binary" and "regression", optional
        That it fits: binary for functions of margins, regression for others, if not given.
    largest_curvature : float > 0, optional
        The largest ℓ'', by which ``lr="1/H"`` and the like are numbers.
    tail : pair of floats > 0, optional
        (rate, factor) with ``-ℓ'(m) e^(rate m) → factor`` as m grows. What depends on it, as
        ``reference.limits``, refuses losses without one.
    concordance : float >= 0, optional
        β with ``|ℓ'''| ≤ β ℓ''``, by which minimisers without λ are proved and ``fast_forward``
        integrates. None where ℓ'' jumps or nothing is known.
    least_target : float, optional
        Targets are no less than this.
    has_exact_solve : bool, default False
        Whether the exact local solve, margins of 1 or x·w = y, is that of the loss.

    Attributes
    ----------
    signed : bool
        Whether its functions take margins.
    fingerprint : str
        A hash of ℓ and ℓ' at some places, to nine digits: by it a checkpoint or a sweep's file
        knows the loss.

    Raises
    ------
    TypeError
        For what is no function, functions of other arguments or signatures, or that return
        something else than real numbers.
    ValueError
        For functions that return another number of rows, or facts out of range.

    See Also
    --------
    check_extension : Whether the functions fit each other.

    Notes
    -----
    An error that a NumPy function raises ends the run with that error; a checkpoint has the state
    of the last whole round. A native function cannot raise any: what it sets to NaN makes the run
    diverge.

    Examples
    --------
    >>> import numpy as np
    >>> import localgd as lg
    >>> smooth = lg.Loss(value=lambda m: np.logaddexp(0, 2 * (1 - m)) / 2,
    ...                  slope=lambda m: -1 / (1 + np.exp(2 * (m - 1))), largest_curvature=0.5)
    >>> problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 2.0]], [-1])])
    >>> lg.run(problem, lg.LocalGD(local_steps=10, lr="1/H"), rounds=20, loss=smooth).config["loss"]
    'own'
    """

    fingerprint: str = ""
    _functions: Mapping[str, _Function] = field(default_factory=dict, compare=False)

    def __init__(
        self,
        value: Any,
        slope: Any,
        curvature: Any = None,
        *,
        name: str = "own",
        tasks: Sequence[str] | None = None,
        largest_curvature: float | None = None,
        tail: tuple[float, float] | None = None,
        concordance: float | None = None,
        least_target: float | None = None,
        has_exact_solve: bool = False,
    ):
        given = {"value": value, "slope": slope, "curvature": curvature}
        functions = {
            which: _Function.of(which, function)
            for which, function in given.items()
            if function is not None or which != "curvature"
        }
        signed = _signed(functions)
        if not isinstance(name, str) or not name or name in LOSSES:
            raise ValueError(f"name: got {name!r}; want a word that is no loss of the package")
        facts = {
            "name": name,
            "tasks": _check_tasks(tasks, signed),
            "signed": signed,
            "curvature": _optional("largest_curvature", largest_curvature, math.inf, above=0),
            "tail": None if tail is None else _check_tail(tail, signed),
            "bounded": False,
            "overflows": 0,
            "least_target": _optional("least_target", least_target, -math.inf),
            "smooth": concordance is not None,
            "has_exact_solve": check.flag("has_exact_solve", has_exact_solve),
            "concordance": _optional("concordance", concordance, None, minimum=0),
            "_functions": functions,
        }
        for fact, known in facts.items():
            object.__setattr__(self, fact, known)
        object.__setattr__(self, "fingerprint", self._fingerprint())

    @property
    def has_curvatures(self) -> bool:
        """Whether its second derivative was given."""
        return "curvature" in self._functions

    @property
    def core(self) -> dict[str, Any]:
        """What the core takes for it."""
        return {
            "value": self._functions["value"].core,
            "slope": self._functions["slope"].core,
            "signed": self.signed,
            "has_exact_solve": self.has_exact_solve,
        }

    def values(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss of each row, (N,)."""
        return self._call("value", u, y)

    def slopes(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The derivative by the scores, of their shape."""
        slopes = self._call("slope", u, y)
        return y * slopes if self.signed else slopes

    def curvatures(self, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The second derivative, (N,)."""
        return self._call("curvature", u, y)

    def _call(self, which: str, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        function = self._functions[which]
        if self.signed:
            return function(y * u)
        return function(u.ravel(), np.broadcast_to(y, u.shape).ravel()).reshape(u.shape)

    def _fingerprint(self) -> str:
        """By rounded numbers: those of another NumPy may end in another digit."""
        if self.signed:
            u, y = PLACES, np.ones(len(PLACES))
        else:
            least = max(self.least_target, -4.0)
            u, y = np.repeat(PLACES[::4], 9), np.tile(least + np.arange(9.0), len(PLACES[::4]))
        found = hashlib.sha256()
        with np.errstate(all="ignore"):
            for numbers in (self._call("value", u, y), self._call("slope", u, y)):
                found.update(" ".join(f"{number:.8e}" for number in numbers + 0.0).encode())
        return found.hexdigest()

    def __repr__(self) -> str:
        return f"Loss({self.name!r})"

    def __str__(self) -> str:
        return self.name

    def __getstate__(self) -> dict[str, Any]:
        if any(function.native for function in self._functions.values()):
            raise TypeError(
                f"loss: {self!r} has native functions, which cannot be sent to another process or "
                "saved; want NumPy functions of a module, or an executor of threads"
            )
        return self.__dict__


@dataclass(frozen=True)
class _Function:
    """One of a loss's functions, called with arrays and giving one."""

    which: str
    given: Any
    of_targets: bool  # it takes scores and targets, not margins
    of_one_row: bool = False
    native: Any = None  # a capsule of a pointer; then given is kept, which owns the code

    @classmethod
    def of(cls, which: str, given: Any) -> _Function:
        callable_of_c = _native(given)
        if callable_of_c is not None:
            capsule, signature = callable_of_c
            return cls(which, given, *_kind(which, signature), capsule)
        if not callable(given):
            raise TypeError(
                f"{which}: got {given!r}; want a function of NumPy arrays, a "
                "scipy.LowLevelCallable or a Numba cfunc"
            )
        return cls(which, given, _arguments(which, given) == 2)

    @property
    def core(self) -> dict[str, Any]:
        if self.native is None:
            return {"rows": self}
        return {"native": self.native, "of_one_row": self.of_one_row}

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        if self.native is not None:
            found: np.ndarray = core.call_rows(self.core, *map(np.ravel, arrays))
            return found.reshape(arrays[0].shape)
        views = [array.view() for array in arrays]
        protect(*views)
        found = np.asarray(self.given(*views))
        if found.dtype.kind not in "fiu":
            raise TypeError(f"{self.which}: it returned {found.dtype} numbers; want real ones")
        if found.shape != arrays[0].shape:
            raise ValueError(
                f"{self.which}: it returned an array of shape {found.shape} for rows of shape "
                f"{arrays[0].shape}; want a number for each row"
            )
        return found.astype(np.float64, copy=False)


def _native(given: Any) -> tuple[Any, str] | None:
    """Capsule and signature of a native function, or None for what is none."""
    ctypes = sys.modules.get("ctypes")
    function = getattr(given, "ctypes", given)  # a Numba cfunc has one
    of_ctypes = ctypes is not None and isinstance(function, ctypes._CFuncPtr)
    known = sys.modules.get("scipy._lib._ccallback")  # whoever has such an object has it
    if not of_ctypes and (known is None or not isinstance(given, known.LowLevelCallable)):
        return None
    from scipy import LowLevelCallable

    found = LowLevelCallable(function) if of_ctypes else given
    if found.user_data is not None:
        raise TypeError(f"{given!r}: it has user data; want a function without")
    return tuple.__getitem__(found, 0), found.signature


def _kind(which: str, signature: str) -> tuple[bool, bool]:
    """Whether a native function takes targets, and whether it takes one row, from what C says."""
    plain = signature.replace("const ", "").replace(" ", "").rstrip(")")
    result, _, listed = plain.partition("(")
    types = tuple("int" if one in INTEGERS else one for one in listed.split(","))
    if (result, types) not in KINDS:
        raise TypeError(f"{which}: its signature is {signature!r}; want one of {WANTED}")
    return KINDS[result, types]


def _arguments(which: str, function: Callable[..., Any]) -> int:
    """How many arrays a Python function takes: 1 or 2."""
    if isinstance(function, np.ufunc):
        count = function.nin
    else:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise TypeError(
                f"{which}: the arguments of {function!r} are not known; want a Python function"
            ) from None
        places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        count = sum(p.kind in places and p.default is p.empty for p in parameters)
    if count not in (1, 2):
        raise TypeError(
            f"{which}: it takes {count} arguments; want one, margins, or two, scores and targets"
        )
    return count


def _signed(functions: Mapping[str, _Function]) -> bool:
    kinds = {function.of_targets for function in functions.values()}
    if len(kinds) > 1:
        takes = {which: 1 + function.of_targets for which, function in functions.items()}
        raise TypeError(
            "value, slope, curvature: they take "
            + ", ".join(f"{count} ({which})" for which, count in takes.items())
            + " arguments; want margins in all, or scores and targets in all"
        )
    return not kinds.pop()


def _check_tasks(tasks: Any, signed: bool) -> tuple[str, ...]:
    if tasks is None:
        return ("binary",) if signed else ("regression",)
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not tasks:
        raise TypeError(f"tasks: got {tasks!r}; want a sequence of 'binary' and 'regression'")
    for task in tasks:
        check.one_of("tasks", task, ("binary",) if signed else ("binary", "regression"))
    return tuple(tasks)


def _check_tail(tail: Any, signed: bool) -> Tail:
    try:
        rate, factor = tail
    except (TypeError, ValueError):
        raise TypeError(f"tail: got {tail!r}; want a pair (rate, factor)") from None
    if not signed:
        raise ValueError(f"tail: got {tail!r} for functions of targets; want None")
    return Tail(check.number("tail", rate, above=0), check.number("tail", factor, above=0))


def _optional(name: str, value: Any, default: Any, **limits: float) -> Any:
    return default if value is None else check.number(name, value, **limits)
