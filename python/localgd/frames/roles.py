"""Which columns of a table are labels, ids of clients, weights and features."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _validation as check
from ..ids import factorize, is_missing
from ..labels import read_label_array
from ..rows import Found
from ..tables import column_text, columns_of
from .columns import Name, find_column, read_columns, table_of
from .encoder import Encoder, check_options

__all__ = [
    "FrameRows",
    "filled_from",
    "find_labels",
    "ids_of",
    "labelled",
    "labels_of",
    "rows_of_frame",
]


class FrameRows(NamedTuple):
    """The rows of a table, their labels, ids of clients and weights, and what made them."""

    rows: Found
    y: np.ndarray
    labels: Any  # in their order, or None
    clients: Any
    sample_weight: Any
    encoder: Encoder


def rows_of_frame(
    frame: Any,
    *,
    label: Any,
    client: Any,
    positive: Any,
    labels: Any,
    sample_weight: Any,
    categorical: Any,
    impute: str | None,
    scale: str | None,
) -> FrameRows:
    """Columns by their roles; what has no other one is a feature.

    Without a column of ids, or ids, all rows are those of client 0.
    """
    asked = check_options(categorical, impute, scale)
    table = table_of("frame", frame)
    label = find_labels(label, table)
    y = labels_of(table, label)
    if positive is not None:
        labels = _ordered(y, label, positive, labels)
    roles, of_client = {*(label if isinstance(label, list) else [label])}, None
    if client is None:
        client = np.zeros(len(y), dtype=np.int64)
    elif not _is_array(client):
        of_client = find_column("client", client, table)
        roles.add(of_client)
        client = ids_of(table, of_client)
    if sample_weight is not None and not _is_array(sample_weight):
        weighing = find_column("sample_weight", sample_weight, table)
        roles.add(weighing)
        name = f"sample_weight: {column_text(weighing)}"
        sample_weight = check.real_array(name, table[weighing], 1)
    features = {key: column for key, column in table.items() if key not in roles}
    for key in asked:
        find_column("categorical", key, features)
    if not features:
        raise ValueError("frame: no column is left for features; want at least one")
    columns = read_columns("frame", features, texts=asked)
    encoder = Encoder.fit(
        "frame",
        columns,
        categorical=categorical,
        impute=impute,
        scale=scale,
        label=label,
        client=of_client,
    )
    return FrameRows(encoder.found("frame", columns), y, labels, client, sample_weight, encoder)


def labelled(name: str, encoder: Encoder | None, frame: Any) -> tuple[Any, np.ndarray] | None:
    """A table that has the column of the labels, and these; None for anything else."""
    if encoder is None or encoder.label is None or columns_of(frame) is None:
        return None
    table = table_of(name, frame)
    return frame, labels_of(table, find_labels(encoder.label, table))


def filled_from(
    name: str, about: Mapping[str, Any], X: Any, y: Any, clients: Any
) -> tuple[Any, Any]:
    """Labels and ids of rows; where none were given, those in the columns of a table.

    ``about``: the problem as the config of a run has it.
    """
    if "encoder" not in about or columns_of(X) is None:
        return y, clients
    table, roles = table_of(name, X), about["encoder"]
    if y is None and "label" in roles:
        y = labels_of(table, find_labels(roles["label"], table))
    if clients is None and roles.get("client") in table:
        clients = ids_of(table, roles["client"])
    return y, clients


def find_labels(label: Any, table: Mapping[Name, Any]) -> Name | list[Name]:
    """The column of labels by its name, or those of several targets by theirs."""
    if not isinstance(label, list | tuple):
        return find_column("label", label, table)
    if not label or len({*label}) < len(label):
        raise ValueError(f"label: got {label!r}; want a column, or a list of several")
    return [find_column("label", one, table) for one in label]


def labels_of(table: Mapping[Name, Any], label: Name | list[Name]) -> np.ndarray:
    """A column as labels, of which none may be missing; of several columns (N, C) targets."""
    if isinstance(label, list):
        parts = [labels_of(table, one) for one in label]
        for one, part in zip(label, parts, strict=True):
            if part.dtype.kind not in "iuf":
                raise TypeError(f"label: {column_text(one)}: want numbers where there are several")
        return np.column_stack(parts)
    name = f"label: {column_text(label)}"
    _check_filled(name, table[label], label, "label")
    return read_label_array(name, table[label])


def ids_of(table: Mapping[Name, Any], client: Name) -> np.ndarray:
    """A column as ids of clients; whole numbers are integers."""
    name = f"client: {column_text(client)}"
    _check_filled(name, table[client], client, "id")
    ids = check.array_of(name, table[client])
    if ids.dtype.kind == "f" and (ids == np.rint(ids)).all():
        return ids.astype(np.int64)
    if ids.dtype.kind not in "biuOSUT":
        raise TypeError(f"{name} holds {ids.dtype}; want integers or texts")
    return ids


def _check_filled(name: str, column: Any, key: Name, what: str) -> None:
    found, index = factorize(check.array_of(name, column).tolist())
    gaps = np.array([is_missing(value) for value in found], dtype=bool)[index]
    if gaps.any():
        raise ValueError(
            f"{name} has no {what} in {int(gaps.sum()):,} of {len(gaps):,} rows, first in row "
            f"{int(np.argmax(gaps))}; want one for each: leave these rows out, as "
            f"frame.dropna(subset=[{key!r}]) does"
        )


def _is_array(value: Any) -> bool:
    """Whether a column was given itself, not by its name."""
    return not isinstance(value, Hashable) or (
        hasattr(value, "__len__") and not isinstance(value, str)
    )


def _ordered(y: np.ndarray, label: Name | list[Name], positive: Any, labels: Any) -> list[Any]:
    """The two labels of a column, the positive one last."""
    if isinstance(label, list):
        raise ValueError(f"positive: got {positive!r} for several targets; want one label")
    if labels is not None:
        raise ValueError("positive, labels: got both; labels=[…] ends with the positive one")
    found = np.unique(y).tolist() if y.dtype != object else sorted({*y.tolist()})
    if positive not in found:
        raise ValueError(
            f"positive: there is no label {positive!r} in {column_text(label)}; "
            f"{check.suggestion(positive, found)}"
        )
    if len(found) != 2:
        raise ValueError(
            f"positive: got {positive!r}, but {column_text(label)} has {len(found)} labels; want "
            "two, or a column such as frame[column] == positive"
        )
    return [value for value in found if value != positive] + [positive]
