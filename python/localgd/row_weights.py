"""Weights of single rows: those given one by one, and those of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _validation as check

__all__ = ["check_row_weights"]


def check_row_weights(
    sample_weight: Any, class_weight: Any, y: np.ndarray, task: str
) -> np.ndarray | None:
    """v_j, the product of both, in the order of the labels; None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    v = np.ones(len(y))
    if sample_weight is not None:
        v = check.real_array("sample_weight", sample_weight, 1, advice="").copy()
        if len(v) != len(y):
            raise ValueError(f"sample_weight: got {len(v)}; want one for each of {len(y)} rows")
        if (v < 0).any():
            j = int(np.argmax(v < 0))
            raise ValueError(f"sample_weight: {v[j]:g} for row {j}; want numbers of at least 0")
    if class_weight is not None:
        if task == "regression":
            raise ValueError("class_weight: the task is regression, which has no classes")
        v *= _of_classes(class_weight, y)
    return v


def _of_classes(class_weight: Any, y: np.ndarray) -> np.ndarray:
    labels, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    if isinstance(class_weight, str):
        check.one_of("class_weight", class_weight, ("balanced",))
        balanced: np.ndarray = (len(y) / (len(labels) * counts))[index]
        return balanced
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight: got {class_weight!r}; want 'balanced' or a mapping of labels to numbers"
        )
    unknown = [label for label in class_weight if label not in labels.tolist()]
    if unknown:
        raise ValueError(
            f"class_weight: there is no label {unknown[0]!r}; want some of {labels.tolist()}"
        )
    of_label = [
        check.number(f"class_weight[{label:g}]", class_weight.get(label, 1.0), minimum=0)
        for label in labels.tolist()
    ]
    return np.array(of_label)[index]
