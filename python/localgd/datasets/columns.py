"""What every reader gives back, and how its labels and client ids are understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["RawRows", "client_ids", "is_number", "listed", "numeric_labels"]

Place = Callable[[int, str], str]


class RawRows(NamedTuple):
    """Rows of a file with labels and client ids as they stand there.

    ``X`` (N, d) float64 and finite, ``labels`` (N,), ``clients`` (N,) or None;
    ``place(i, "label")`` or ``place(i, "client")`` says for messages where row i has it.
    """

    X: np.ndarray
    labels: Sequence[Any] | np.ndarray
    clients: Sequence[Any] | np.ndarray | None
    place: Place


def numeric_labels(values: Any, task: str | None, place: Place) -> np.ndarray:
    """Labels as float64 of shape (N,); two classes become -1 and +1."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        numbers = array.astype(np.float64)
    else:
        texts = _texts(array)
        numeric = [is_number(text) for text in texts]
        if not any(numeric):
            return _two_strings(texts, task, place)
        if not all(numeric):
            i = numeric.index(False)
            raise ValueError(
                f"{place(i, 'label')}: label {texts[i]!r} is not a number, others are; want "
                "numbers only or two distinct strings"
            )
        numbers = np.array([float(text) for text in texts])
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        i = int(bad[0])
        raise ValueError(f"{place(i, 'label')}: label {numbers[i]}; want a finite number")
    return _two_numbers(numbers, task)


def client_ids(values: Any, place: Place) -> np.ndarray:
    """Client ids, shape (N,): integers if all are written as integers, else strings."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return array
    texts = _texts(array)
    if "" in texts:
        raise ValueError(f"{place(texts.index(''), 'client')}: no client id; want one per row")
    if array.dtype.kind not in "OUS":
        raise ValueError(
            f"{place(0, 'client')}: client id {texts[0]} of type {array.dtype}; want integers or "
            "strings"
        )
    # Ids such as 007 stay strings, and so do those that int64 cannot hold.
    if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    return np.array(texts)


def listed(values: Sequence[Any]) -> str:
    """The first few of some values, for a message."""
    return ", ".join(map(repr, values[:8])) + (", …" if len(values) > 8 else "")


def is_number(text: str) -> bool:
    """Whether a cell holds a number (NaN and Inf included)."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as 1000; in data it is no number


def _texts(array: np.ndarray) -> list[str]:
    if array.dtype.kind == "S":
        array = array.astype(np.str_)
    return ["" if value is None else str(value).strip() for value in array.tolist()]


def _two_strings(texts: list[str], task: str | None, place: Place) -> np.ndarray:
    if task == "regression":
        raise ValueError(
            f"{place(0, 'label')}: label {texts[0]!r} is not a number; want numbers for "
            "task='regression'"
        )
    if "" in texts:
        raise ValueError(f"{place(texts.index(''), 'label')}: no label; want one per row")
    classes = sorted(set(texts))
    if len(classes) != 2:
        raise ValueError(
            f"{place(0, 'label')}: {len(classes)} distinct labels in all ({listed(classes)}); "
            "want numbers or two distinct strings"
        )
    return np.array([-1.0 if text == classes[0] else 1.0 for text in texts])


def _two_numbers(numbers: np.ndarray, task: str | None) -> np.ndarray:
    classes = np.unique(numbers)
    if task == "regression" or np.isin(classes, (-1.0, 1.0)).all():
        return numbers
    if len(classes) == 2 and (task == "binary" or (classes == np.rint(classes)).all()):
        return np.where(numbers == classes[0], -1.0, 1.0)
    if task == "binary":
        raise ValueError(
            f"labels: {len(classes)} distinct values ({listed(classes.tolist())}); want two for "
            "task='binary'"
        )
    return numbers
