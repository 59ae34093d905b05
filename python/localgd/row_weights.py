"""Weights of single rows: those given one by one, and those of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _validation as check
from .labels import Targets

__all__ = ["check_row_weights"]


def check_row_weights(sample_weight: Any, class_weight: Any, targets: Targets) -> np.ndarray | None:
    """v_j, the product of both, in the order of the targets; None if neither is given."""
    n = len(targets.y)
    if sample_weight is None and class_weight is None:
        return None
    v = np.ones(n)
    if sample_weight is not None:
        v = check.real_array("sample_weight", sample_weight, 1, advice="").copy()
        if len(v) != n:
            raise ValueError(f"sample_weight: got {len(v)}; want one for each of {n} rows")
        if (v < 0).any():
            j = int(np.argmax(v < 0))
            raise ValueError(f"sample_weight: {v[j]:g} for row {j}; want numbers of at least 0")
    if class_weight is not None:
        v *= _of_classes(class_weight, targets)
    return v


def _of_classes(class_weight: Any, targets: Targets) -> np.ndarray:
    y, labels = targets.y, targets.labels
    if labels is None:
        raise ValueError("class_weight: the task is regression, which has no classes")
    if isinstance(class_weight, str):
        check.one_of("class_weight", class_weight, ("balanced",))
        _, index, counts = np.unique(y, return_inverse=True, return_counts=True)
        balanced: np.ndarray = (len(y) / (len(counts) * counts))[index]
        return balanced
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight: got {class_weight!r}; want 'balanced' or a mapping of labels to numbers"
        )
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(
            f"class_weight: there is no label {unknown[0]!r}; want some of {list(labels)}"
        )
    of_label = [
        check.number(f"class_weight[{label!r}]", class_weight.get(label, 1.0), minimum=0)
        for label in labels
    ]
    return np.array(of_label)[targets.places]
