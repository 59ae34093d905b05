"""Labels of rows as people have them, and the numbers that problems make of them.

Numbers, booleans or texts; -1 and +1 for two classes, 0, 1, …, C - 1 for several, in the order of
the sorted labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _validation as check
from .ids import factorize, is_missing

__all__ = [
    "MAX_CLASSES",
    "TASKS",
    "Label",
    "Targets",
    "about_labels",
    "about_targets",
    "as_targets",
    "join_labels",
    "numbers_of_labels",
    "places_of",
    "read_label_array",
]

TASKS = ("binary", "multiclass", "regression")
MAX_CLASSES = 10_000  # a model holds as many columns; more labels are ids, not classes
SIGNS = (-1, 1)
USUAL = ({-1, 1}, {0, 1}, {1, 2})  # two integers that can hardly be meant as numbers
Label = bool | int | float | str


class Targets(NamedTuple):
    """Labels as numbers, float64 of shape (N,), the task, and the user's labels in their order.

    Of regression also (N, C), several targets of each row. ``labels``: of -1 and +1, or of 0, 1, …,
    C - 1; None for regression. ``guess``: what was taken for granted, or empty.
    """

    y: np.ndarray
    task: str
    labels: tuple[Label, ...] | None
    guess: str = ""

    @property
    def places(self) -> np.ndarray:
        """Where each row's label stands among the labels, int64 of shape (N,)."""
        return places_of(self.y, self.task)

    def warn(self) -> None:
        """Say to the caller of the caller what was guessed."""
        if self.guess:
            warnings.warn(self.guess, UserWarning, stacklevel=3)


def read_label_array(name: str, y: Any) -> np.ndarray:
    """Labels of any library, shape (N,): booleans, integers, finite floats, or texts as objects.

    Numbers also of shape (N, C): several targets of each row.
    """
    # Of a list of texts and numbers NumPy would make texts.
    array = check.array_of(name, y)
    if array.dtype.kind in "SU" and isinstance(y, list | tuple):
        array = np.array(y, dtype=object)
    if array.dtype.kind in "OSUT":
        check.dimensions(name, array, 1)
        array = _plain(name, array)
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{name}: got dtype {array.dtype}; want numbers, booleans or texts")
    if array.ndim != 2 or array.dtype.kind not in "iuf" or not array.shape[1]:
        check.dimensions(name, array, 1)
    if array.dtype.kind == "f":
        array = array.astype(np.float64, copy=False)
        check.finite(name, array)
    return array


def join_labels(name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Those of all clients, of one kind."""
    texts = [part.dtype == object for part in parts]
    if any(texts) and not all(texts):
        i, j = texts.index(True), texts.index(False)
        raise TypeError(
            f"{name}: client {i} has texts as labels and client {j} numbers; want one kind"
        )
    shapes = [part.shape[1:] for part in parts]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"{name}: client {i} has {about_targets(shape)} and client 0 "
                f"{about_targets(shapes[0])}; want as many on every client"
            )
    return np.concatenate(parts)


def as_targets(name: str, y: np.ndarray, task: str | None, labels: Any = None) -> Targets:
    """Labels for a task; for the one that they speak of if it is None.

    ``y`` as :func:`read_label_array` gives it; ``labels``: their order, if not the sorted one.
    """
    if task is not None:
        check.one_of("task", task, TASKS)
    if y.ndim > 1:
        return _of_outputs(name, y, task, labels)
    if labels is not None:
        return _in_given_order(name, y, task, labels)
    texts = y.dtype == object
    if task == "regression":
        if texts:
            raise TypeError(f"{name}: got {y[0]!r} at row 0; want numbers for task='regression'")
        return Targets(y.astype(np.float64), task, None)
    if task != "multiclass" and not texts and y.dtype != bool and (abs(y) == 1).all():
        one = 1.0 if y.dtype.kind == "f" else 1
        return Targets(y.astype(np.float64), "binary", tuple(k * one for k in SIGNS))
    if y.dtype.kind == "f" and task != "binary":
        fractions = np.flatnonzero(y != np.rint(y))
        if len(fractions) and task is None:
            return Targets(y.astype(np.float64), "regression", None)
        if len(fractions):
            raise ValueError(
                f"{name}: label {y[fractions[0]]:g} at row {fractions[0]} of a multiclass task; "
                "want whole numbers, booleans or texts"
            )
    if y.dtype == bool:  # of which there are two, whether both occur or not
        values, index = [False, True], y.astype(np.int64)
    else:
        values, index = _distinct(y)
    found = task or _task_of(name, y, values)
    _check_count(name, values, found)
    guess = _guess(name, values) if task is None and found == "binary" else ""
    return Targets(_coded(index, found), found, tuple(values), guess)


def numbers_of_labels(
    name: str,
    y: np.ndarray,
    task: str,
    labels: Sequence[Label] | None,
    shape: tuple[int, ...] = (),
) -> np.ndarray:
    """Other labels as the numbers that a problem with these made of its own, float64 (N,).

    ``shape``: of the targets of a row, () or (C,).
    """
    if y.shape[1:] != shape:
        raise ValueError(
            f"{name}: rows have {about_targets(y.shape[1:])}; the problem's have "
            f"{about_targets(shape)}"
        )
    if task == "regression" or labels is None:
        return as_targets(name, y, "regression").y
    found, index = _distinct(y)
    place = {label: k for k, label in enumerate(labels)}
    for k, label in enumerate(found):
        if label not in place:
            row = int(np.argmax(index == k))
            raise ValueError(
                f"{name}: label {label!r} at row {row}; the problem has {_listed(labels)}"
            )
    return _coded(np.array([place[label] for label in found])[index], task)


def about_targets(shape: tuple[int, ...]) -> str:
    """How many numbers or labels a row has."""
    return f"{shape[0]} targets" if shape else "one label or target"


def _of_outputs(name: str, y: np.ndarray, task: str | None, labels: Any) -> Targets:
    """Several numbers to predict of each row; classes have one label."""
    if task in ("binary", "multiclass") or labels is not None:
        raise ValueError(
            f"{name}: got an array of shape {y.shape}; want one label of each row, shape (N,)"
        )
    if task is None and (y == np.rint(y)).all():
        raise ValueError(
            f"{name}: got an array of shape {y.shape}, of whole numbers; want one label of each "
            "row, shape (N,), or task='regression' for numeric targets"
        )
    return Targets(y.astype(np.float64), "regression", None)


def places_of(y: np.ndarray, task: str) -> np.ndarray:
    """Where the labels of some numbers stand among all labels, int64 as y."""
    return ((y + 1) / 2 if task == "binary" else y).astype(np.int64)


def about_labels(task: str, labels: Sequence[Label] | None) -> str:
    """Which labels became which numbers, where they are not those numbers."""
    if labels is None or list(labels) == list(SIGNS if task == "binary" else range(len(labels))):
        return ""
    if task == "binary":
        return f"({labels[0]!r} -1, {labels[1]!r} +1)"
    return f"({_listed(labels)})"


def _task_of(name: str, y: np.ndarray, values: Sequence[Label]) -> str:
    """The task that labels speak of, whose distinct ones are texts, booleans or whole numbers."""
    if len(values) == 2 or isinstance(values[0], str):
        return "binary" if len(values) <= 2 else "multiclass"
    if len(values) >= 3 and list(values) == list(range(len(values))):
        return "multiclass"
    row = int(np.argmax(abs(y) != 1))
    raise ValueError(
        f"{name}: integer label {y[row]:g} at row {row}, {_count(values)}; want two distinct ones "
        "for a binary task, each of 0, 1, …, C-1 or task='multiclass' for classes, or "
        "task='regression' for numeric targets"
    )


def _guess(name: str, values: Sequence[Label]) -> str:
    """What is said of two labels that were taken for classes, if they may be meant as numbers."""
    if isinstance(values[0], str) or set(values) in USUAL:
        return ""
    return (
        f"{name}: took the labels {values[0]!r} and {values[1]!r} for two classes, -1 and +1 "
        "(task='regression': for numbers)"
    )


def _in_given_order(name: str, y: np.ndarray, task: str | None, labels: Any) -> Targets:
    order = read_label_array("labels", labels)
    check.dimensions("labels", order, 1)
    values, _ = _distinct(order)
    if len(values) < len(order):
        raise ValueError(f"labels: got {order.tolist()!r}; want each label once")
    if task == "regression":
        raise ValueError("labels: the task is regression, which has no classes")
    found = task or ("binary" if len(values) == 2 else "multiclass")
    _check_count("labels", values, found)
    known = tuple(order.tolist())
    return Targets(numbers_of_labels(name, y, found, known), found, known)


def _check_count(name: str, values: Sequence[Label], task: str) -> None:
    got = _count(values)
    if len(values) < 2:
        raise ValueError(f"{name}: every label is {values[0]!r}; want at least two classes")
    if task == "binary" and len(values) > 2:
        raise ValueError(f"{name}: {got} ({_listed(values)}); want two for a binary task")
    if len(values) > MAX_CLASSES:
        raise ValueError(f"{name}: {got} of a multiclass task; want at most {MAX_CLASSES:,}")


def _coded(index: np.ndarray, task: str) -> np.ndarray:
    """The numbers of labels that stand at these places in their order."""
    return (2.0 * index - 1 if task == "binary" else index).astype(np.float64)


def _distinct(y: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Sorted labels as plain objects, and the place of each row's."""
    if y.dtype != object:
        values, index = np.unique(y, return_inverse=True)
        return values.tolist(), index
    found, index = factorize(y.tolist())
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return [found[k] for k in order], rank[index]


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """Objects and texts as numbers, if all are numbers, or as objects of str."""
    try:
        found, index = factorize(array.tolist())
    except TypeError as error:  # lists and the like
        raise TypeError(f"{name}: {error}; want numbers, booleans or texts") from None
    missing = np.array([is_missing(value) for value in found], dtype=bool)[index]
    if missing.any():
        raise check.not_finite(name, np.nan, (int(np.argmax(missing)),), int(missing.sum()))
    entries = [_text(name, value) if isinstance(value, bytes) else value for value in found]
    texts = [isinstance(value, str) for value in entries]
    if all(texts):
        return np.array([str(value) for value in entries], dtype=object)[index]
    if any(texts):
        k, other = texts.index(True), texts.index(False)
        raise TypeError(
            f"{name}: got {entries[k]!r} at row {int(np.argmax(index == k))} and "
            f"{entries[other]!r} at row {int(np.argmax(index == other))}; want numbers or texts"
        )
    plain = np.array(entries)
    if plain.dtype == object:
        plain = check.numbers_in_objects(plain)
    if plain.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got {entries[0]!r} at row 0; want numbers, booleans or texts")
    return plain[index]


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{name}: label {value!r} is not UTF-8 text") from None


def _count(values: Sequence[Label]) -> str:
    return f"{len(values):,} distinct label{'s' * (len(values) > 1)} in all"


def _listed(labels: Sequence[Label]) -> str:
    shown = [repr(label) for label in labels[:8]]
    if len(labels) > 10:
        return ", ".join([*shown, "…", repr(labels[-1])])
    return ", ".join(map(repr, labels))
