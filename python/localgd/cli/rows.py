"""From the settings to a problem, and how it is told to the user."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import datasets
from ..errors import MissingExtraError
from ..partitioning import partition
from ..problem import Problem
from .settings import Settings
from .words import partition_scheme

__all__ = ["Prepared", "prepare"]

DIGITS = {"mnist": datasets.load_mnist, "digits": datasets.load_digits}
BUILT_IN = (*DIGITS, "breast-cancer")
TITLES = {"mnist": "MNIST digits", "digits": "scikit-learn's 8x8 digits"}


@dataclass(frozen=True)
class Prepared:
    """A problem, the settings with everything settled, and two lines about it."""

    problem: Problem
    settings: Settings
    data: str
    clients: str


def prepare(settings: Settings) -> Prepared:
    """Load the rows and deal them to clients."""
    X, y, ids, title, settings = _load(settings)
    X, scaling = _scaled(X, settings)
    settings = _settled(settings, y)
    if ids is None:
        problem = partition(
            X,
            y,
            n_clients=settings.clients,
            scheme=partition_scheme("scheme", str(settings.scheme)),
            seed=settings.seed,
            weights=settings.weights,
            task=settings.task,
        )
        dealing = f"dealt by {settings.scheme}, seed {settings.seed}"
    else:
        problem = Problem.from_arrays(X, y, ids, weights=settings.weights, task=settings.task)
        dealing = f"named by {settings.client!r}"
    data = f"{title}: {problem.n_samples:,} rows of {problem.n_features:,} features, {scaling}"
    return Prepared(problem, settings, data, _about_clients(problem, settings, dealing))


def _settled(settings: Settings, y: np.ndarray) -> Settings:
    """Loss and scheme that suit the labels, where they were left open."""
    regression = settings.task == "regression" or bool(np.any(np.abs(y) != 1))
    return dataclasses.replace(
        settings,
        loss=settings.loss or ("squared" if regression else "exponential"),
        scheme=settings.scheme or ("iid" if regression else "dirichlet:0.3"),
    )


def _load(
    settings: Settings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str, Settings]:
    """Rows, labels, client ids if the file has them, a title, and the settings that name them."""
    if settings.data is None:
        try:
            return _load(dataclasses.replace(settings, data="mnist"))
        except MissingExtraError:
            rows = _load(dataclasses.replace(settings, data="digits"))
            note = " (for MNIST: pip install 'localgd[data]')"
            return *rows[:3], rows[3] + note, rows[4]
    name = settings.data
    if name not in BUILT_IN:
        return _read(settings, Path(name))
    for option in ("label", "client"):
        if getattr(settings, option) is not None:
            raise ValueError(f"{option}: got {getattr(settings, option)!r} for {name}; want a FILE")
    if name in DIGITS:
        groups = settings.classes.split(",")
        classes = tuple(tuple(int(digit) for digit in group) for group in groups)
        X, y = DIGITS[name](classes=classes, scale="max_norm" if settings.normalize else None)
        return X, y, None, f"{TITLES[name]} {groups[0]} against {groups[1]}", settings
    X, y = datasets.load_breast_cancer(scale="standard" if settings.normalize else None)
    return X, y, None, "Wisconsin breast cancer, malignant against benign", settings


def _read(
    settings: Settings, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str, Settings]:
    if not path.suffix and not path.exists():
        raise ValueError(
            f"data: got {str(path)!r}; want {', '.join(BUILT_IN)}, or a file of rows "
            "(.csv, .npz, .parquet, .svm)"
        )
    client = settings.client
    if client is None and path.suffix.lower() == ".npz" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as stored:
            client = "clients" if "clients.npy" in stored.namelist() else None
    indices = path.suffix.lower() in (".csv", ".parquet")
    read = datasets.read(
        path,
        label=_column(settings.label, indices),
        client=_column(client, indices),
        task=settings.task,
    )
    # Absolute, so that the written settings repeat the run from any folder.
    settled = dataclasses.replace(settings, data=str(path.resolve()), client=client)
    return read[0], read[1], read[2] if len(read) == 3 else None, path.name, settled


def _column(place: str | None, indices: bool) -> str | int | None:
    """A column name, or an index where the file has columns in order."""
    if place is None or not indices:
        return place
    return int(place) if place.removeprefix("-").isdecimal() else place


def _scaled(X: np.ndarray, settings: Settings) -> tuple[np.ndarray, str]:
    """Rows as the settings want them, and what was done to them."""
    largest = float(np.linalg.norm(X, axis=1).max())
    said = f"largest norm {largest:.4g}"
    if settings.normalize:
        standard = "columns standardised, then " if settings.data == "breast-cancer" else ""
        said = f"{standard}scaled to largest norm 1"
        if settings.data not in BUILT_IN and largest > 0:
            X = X / largest
            said = f"divided by the largest row norm, {largest:.4g}"
    if settings.bias:
        X = np.column_stack([X, np.ones(len(X))])
        said += ", a column of ones appended"
        if settings.normalize:
            X = X / np.linalg.norm(X, axis=1).max()
            said += ", scaled again"
    return X, said


def _about_clients(problem: Problem, settings: Settings, dealing: str) -> str:
    low, high = int(problem.sizes.min()), int(problem.sizes.max())
    sizes = f"{low:,} rows each" if low == high else f"{low:,} to {high:,} rows"
    parts = [f"{problem.n_clients:,} {dealing}", sizes]
    if problem.task == "binary":
        one_label = sum(
            len(np.unique(problem.y[problem.rows(i)])) == 1 for i in range(problem.n_clients)
        )
        parts.append(f"{one_label:,} of them with one label only" if one_label else "")
    parts.append("equal weights" if settings.weights == "equal" else "weighted by samples")
    return ", ".join(filter(None, parts))
