"""From the settings to a problem, and how it is described to the user."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from .. import datasets
from ..datasets.parquet_parts import Part
from ..errors import MissingExtraError
from ..frames import Columns, Encoder
from ..labels import Label, as_targets, read_label_array
from ..losses import LOSSES, default_loss
from ..partitioning import partition
from ..partitioning.scaling import rows_to_scale
from ..problem import Problem
from ..randomness import random_generator
from ..rows import row_norms
from .own_rows import naming_drop, read_own
from .settings import ColumnSettings, FormatSettings, Settings, in_options
from .words import partition_scheme

__all__ = ["Census", "Prepared", "PreparedPart", "about_clients", "prepare", "prepare_part"]

DIGIT = "0123456789"
DIGITS = {"mnist": datasets.load_mnist, "digits": datasets.load_digits}
BUILT_IN = (*DIGITS, "breast-cancer")
TITLES = {"mnist": "MNIST digits", "digits": "scikit-learn's 8x8 digits"}
SCALED = {
    "rows": "each divided by its norm",
    "spectral": "divided by the spectral norm over √N",
    "standard": "columns of mean 0 and standard deviation 1",
}
TEST_STREAM = 2  # keeps the draw of test rows apart from the dealing of the others
Pair = tuple[Any, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows and labels, client ids if the data has them, and what all that is called."""

    X: Any  # an array, CSR, or columns of any kind
    y: np.ndarray
    ids: np.ndarray | None
    title: str
    labels: tuple[Label, ...] | None = None  # in the order of -1 and +1, or 0, 1, …, C-1
    guessed: str = ""
    y_elsewhere: np.ndarray | None = None  # labels of other parts of the file


@dataclass(frozen=True)
class Prepared:
    """A problem, held-out rows, the settings with everything settled, and lines about them."""

    problem: Problem
    test: Pair | None
    test_ids: np.ndarray | None  # of the clients of held-out rows, where the data has them
    settings: Settings
    data: str
    clients: str
    guessed: str  # of the user's file, or empty


def prepare(
    settings: Settings, *, sparse: bool | None = None, of_classes: str | None = None
) -> Prepared:
    """Load the rows, hold some out and deal the others to clients.

    ``sparse``: whether rows of a file are kept as CSR; by default where that is smaller.
    ``of_classes``: how rows with classes are dealt, in place of the scheme of the settings.
    """
    rows, settings = _load(settings, sparse)
    rows, settings = _settled(rows, settings)
    if of_classes is not None and settings.task != "regression":
        settings = settings.model_copy(update={"scheme": of_classes})
    held_out = _chosen_for_test(rows, settings)
    rows, encoder = _encoded(rows, held_out, settings)
    if encoder is None:
        X, scaling = _scaled(rows.X, settings)
    else:
        X, scaling, encoder = _scaled_table(rows.X, settings, encoder)
    rows = dataclasses.replace(rows, X=X)
    test, test_ids = None, None
    if held_out is not None:
        others, rows = _some(rows, held_out), _some(rows, ~held_out)
        test, test_ids = (others.X, others.y), others.ids
    known: dict[str, Any] = {
        "weights": settings.weights,
        "task": settings.task,
        "labels": rows.labels,
        "intercept": settings.intercept,
    }
    if rows.ids is None:
        problem = _dealt(rows, settings, known)
        dealing = f"dealt by {settings.scheme}, seed {settings.seed}"
        left_over = len(rows.y) - problem.n_samples
        dealing += f" ({left_over:,} rows left over)" if left_over else ""
    else:
        problem = Problem.from_arrays(rows.X, rows.y, rows.ids, **known)
        dealing = f"named by {settings.client!r}"
    if encoder is not None:
        problem.encoder, problem.feature_names = encoder, encoder.feature_names
    entries = f", {problem.X.nnz:,} numbers other than 0" if problem.sparse else ""
    data = (
        f"{rows.title}{_about_labels(problem)}: {problem.n_samples:,} rows of "
        f"{problem.n_features:,} features{entries}, {scaling}"
    )
    if test is not None:
        data += f"; {len(test[1]):,} more rows held out as a test"
    settings = settings.model_copy(update={"dtype": settings.dtype or problem.dtype.name})
    clients = about_clients(Census.of(problem), settings, dealing)
    return Prepared(problem, test, test_ids, settings, data, clients, in_options(rows.guessed))


@dataclass(frozen=True)
class PreparedPart:
    """The problem of some clients of a file, None if they are none, and lines about them."""

    problem: Problem | None
    settings: Settings
    census: Census
    labels: str  # which became which number
    guessed: str


def prepare_part(settings: Settings, part: Part) -> PreparedPart:
    """The rows of one of several parts of a file, by their clients."""
    rows, settings = _read(settings, Path(str(settings.data)), None, part)
    rows, settings = _settled(rows, settings)
    settings = settings.model_copy(update={"dtype": settings.dtype or rows.X.dtype.name})
    if not len(rows.y):
        return PreparedPart(None, settings, Census.of(None), "", "")
    X = rows_to_scale(rows.X, "rows") if settings.scale == "rows" else rows.X
    problem = Problem.from_arrays(
        X,
        rows.y,
        rows.ids,
        weights=settings.weights,
        task=settings.task,
        labels=rows.labels,
        intercept=settings.intercept,
    )
    about, guessed = _about_labels(problem), in_options(rows.guessed)
    return PreparedPart(problem, settings, Census.of(problem), about, guessed)


def _dealt(rows: Rows, settings: Settings, known: dict[str, Any]) -> Problem:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "partition", UserWarning
        )  # the line about clients says it
        return partition(
            rows.X,
            rows.y,
            n_clients=settings.clients,
            scheme=partition_scheme(settings.scheme),
            seed=settings.seed,
            **known,
        )


def _load(settings: Settings, sparse: bool | None) -> tuple[Rows, Settings]:
    """The rows, and the settings that name them."""
    if settings.data is None:
        try:
            return _load(settings.model_copy(update={"data": "mnist"}), sparse)
        except MissingExtraError:
            rows, settled = _load(settings.model_copy(update={"data": "digits"}), sparse)
            note = " (for MNIST: pip install 'localgd[data]')"
            return dataclasses.replace(rows, title=rows.title + note), settled
    name = settings.data
    if name not in BUILT_IN:
        return _read(settings, Path(name), sparse)
    for option in ("label", "client", *FormatSettings.model_fields, *ColumnSettings.model_fields):
        if getattr(settings, option) is not None:
            raise ValueError(f"{option}: got {getattr(settings, option)!r} for {name}; want a FILE")
    loaded = {} if settings.scale is None else {"scale": None}
    if name in DIGITS:
        groups = list(DIGIT) if settings.classes == "all" else settings.classes.split(",")
        classes = tuple(tuple(int(digit) for digit in group) for group in groups)
        X, y = DIGITS[name](classes=classes, **loaded)
        return _named(X, y, TITLES[name], groups), settings
    X, y = datasets.load_breast_cancer(**loaded)
    return _named(X, y, "Wisconsin breast cancer", ["malignant", "benign"]), settings


def _named(X: np.ndarray, y: np.ndarray, title: str, names: list[str]) -> Rows:
    """Rows with their classes, -1 and +1 or 0, 1, …, C-1, under these names."""
    labels = list(map(int, names)) if set(names) <= set(DIGIT) else names
    places = (y > 0 if len(names) == 2 else y).astype(np.int64)
    return Rows(X, np.array(labels)[places], None, title, tuple(labels))


def _read(
    settings: Settings, path: Path, sparse: bool | None, part: Part | None = None
) -> tuple[Rows, Settings]:
    if not path.suffix and settings.kind is None and not path.exists():
        known = [*BUILT_IN, *(file.name for file in path.parent.glob("*"))]
        raise ValueError(
            f"data: got {str(path)!r}; want {', '.join(BUILT_IN)}, or a file of rows "
            f"(.csv, .npz, .parquet, .svm){check.did_you_mean(path.name, known)}"
        )
    options = {name: getattr(settings, name) for name in FormatSettings.model_fields}
    if settings.as_table:
        options["texts"] = [] if settings.categorical == "onehot" else _names(settings.categorical)
        options["drop"] = _names(settings.drop)
    own = read_own(path, settings.label, settings.client, sparse=sparse, part=part, **options)
    # Absolute, so that the written settings repeat the run from any folder.
    named = settings.model_copy(update={"data": str(path.resolve()), "client": own.client})
    title = os.fsencode(path.name).decode(errors="replace")  # to be written to reports
    rows = Rows(own.X, own.y, own.ids, title, guessed=own.guessed, y_elsewhere=own.y_elsewhere)
    return rows, named


def _task(settings: Settings) -> str | None:
    """The task asked for, in words or by a loss that only classes, or only numbers, have."""
    tasks = () if settings.loss is None else LOSSES[settings.loss].tasks
    return settings.task or (tasks[0] if tasks in (("multiclass",), ("regression",)) else None)


def _settled(rows: Rows, settings: Settings) -> tuple[Rows, Settings]:
    """Task and loss that suit the labels, where they were left open."""
    task = _task(settings)
    y = rows.y if rows.y_elsewhere is None else np.concatenate([rows.y, rows.y_elsewhere])
    y = read_label_array("data", y)
    order = rows.labels
    if settings.positive is not None:
        order = _ordered(y, settings.positive)
    targets = as_targets("data", y, task, order)
    task = targets.task
    settled = {"task": task, "loss": settings.loss or default_loss(task)}
    rows = dataclasses.replace(rows, labels=targets.labels)
    return rows, settings.model_copy(update=settled)


def _ordered(y: np.ndarray, positive: str) -> tuple[Label, ...]:
    """Two labels, the positive one last."""
    names = {_name(label): label for label in dict.fromkeys(y.tolist())}
    if positive not in names:
        raise ValueError(
            f"positive: there is no label {positive!r}; {check.suggestion(positive, names)}"
        )
    if len(names) != 2:
        raise ValueError(f"positive: got {positive!r} for {len(names)} labels; want two")
    return (*(names[name] for name in names if name != positive), names[positive])


def _encoded(
    rows: Rows, held_out: np.ndarray | None, settings: Settings
) -> tuple[Rows, Encoder | None]:
    """Columns of any kind as rows of numbers, by what those that are not held out teach."""
    if not isinstance(rows.X, Columns):
        return rows, None
    with naming_drop():
        encoder = Encoder.fit(
            rows.title,
            rows.X if held_out is None else rows.X[~held_out],
            impute=settings.impute or "median",
            scale=None if settings.scale == "none" else "standard",
            label=settings.label,
            client=settings.client,
        )
    return dataclasses.replace(rows, X=encoder.transform(rows.title, rows.X)), encoder


def _names(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",")]


def _chosen_for_test(rows: Rows, settings: Settings) -> np.ndarray | None:
    """Which rows are held out, drawn uniformly; None: none are."""
    if settings.test is None:
        return None
    n = len(rows.y)
    count = max(1, round(settings.test * n))
    needed = settings.clients if rows.ids is None else 1
    if n - count < needed:
        raise ValueError(
            f"test: {settings.test:g} of {n:,} rows leaves {n - count:,} for {needed:,} clients; "
            "want a smaller fraction"
        )
    chosen = np.zeros(n, dtype=bool)
    chosen[random_generator(settings.seed, TEST_STREAM).permutation(n)[:count]] = True
    if settings.task != "regression":
        lost = sorted(set(np.unique(rows.y)) - set(np.unique(rows.y[~chosen])))
        if lost:
            raise ValueError(
                f"test: {settings.test:g} of {n:,} rows leaves none with the label "
                f"{_name(lost[0])}; want a smaller fraction or another seed"
            )
    return chosen


def _some(rows: Rows, chosen: np.ndarray) -> Rows:
    ids = None if rows.ids is None else rows.ids[chosen]
    return dataclasses.replace(rows, X=rows.X[chosen], y=rows.y[chosen], ids=ids)


def _scaled_table(X: Any, settings: Settings, encoder: Encoder) -> tuple[Any, str, Encoder]:
    """Rows that an encoder made, times one number, which it is to make of new ones, too."""
    if settings.scale == "rows":
        raise ValueError(
            "scale: got 'rows' with categorical, impute or drop; want 'standard' or 'spectral'"
        )
    largest = float(row_norms(X).max())
    factor, said = 1.0, f"largest norm {largest:.4g}"
    if settings.scale != "none":
        said = f"numbers of mean 0 and standard deviation 1, {said}"
    if settings.scale == "spectral":
        factor = float(row_norms(rows_to_scale(X, "spectral")).max()) / largest
        said += f", {SCALED['spectral']}"
    elif settings.scale == "max_norm" and largest > 0:
        factor = 1 / largest
        said += ", by which all are divided"
    return (
        X * factor,
        said + _about_intercept(settings),
        dataclasses.replace(encoder, factor=factor),
    )


def _scaled(X: Any, settings: Settings) -> tuple[Any, str]:
    """Rows as the settings want them, and what was done to them."""
    largest = float(row_norms(X).max())
    said = f"largest norm {largest:.4g}"
    if settings.scale == "max_norm":
        said = f"divided by the largest row norm, {largest:.4g}"
    elif settings.scale in SCALED:
        said = SCALED[settings.scale]
    elif settings.scale is None and settings.data in BUILT_IN:
        standard = "columns standardised, then " if settings.data == "breast-cancer" else ""
        said = f"{standard}scaled to largest norm 1"
    scale = None if settings.scale == "none" else settings.scale
    return rows_to_scale(X, scale), said + _about_intercept(settings)


def _about_intercept(settings: Settings) -> str:
    free = ", which λ leaves alone" if settings.intercept == "free" else ""
    return "" if settings.intercept is None else f", a column of ones beside them{free}"


def _about_labels(problem: Problem) -> str:
    """Which label became which number."""
    if problem.labels is None:
        return ""
    names = tuple(map(_name, problem.labels))
    if problem.task == "binary":
        same = problem.labels == (-1, 1)
        return "" if same else f", {names[0]} (-1) against {names[1]} (+1)"
    shown = names if len(names) <= 10 else (*names[:8], "…", names[-1])
    return f", {len(names):,} classes ({', '.join(shown)})"


def _name(label: Label) -> str:
    """A label as people write it."""
    if isinstance(label, float):
        return str(int(label)) if label == int(label) else f"{label:g}"
    return str(label)


@dataclass(frozen=True)
class Census:
    """How many clients there are, of how many rows."""

    clients: int
    rows: int
    fewest: int  # rows of a client
    most: int
    one_label: int  # clients with one label only, where there are classes
    features: int

    @classmethod
    def of(cls, problem: Problem | None) -> Census:
        """That of a problem."""
        if problem is None:
            return cls(0, 0, sys.maxsize, 0, 0, 0)
        one_label = 0
        if problem.task != "regression":
            one_label = sum(
                len(np.unique(problem.y[problem.rows(i)])) == 1 for i in range(problem.n_clients)
            )
        return cls(
            problem.n_clients,
            problem.n_samples,
            int(problem.sizes.min()),
            int(problem.sizes.max()),
            one_label,
            problem.n_features,
        )

    def __add__(self, other: Census) -> Census:
        return Census(
            self.clients + other.clients,
            self.rows + other.rows,
            min(self.fewest, other.fewest),
            max(self.most, other.most),
            self.one_label + other.one_label,
            max(self.features, other.features),
        )


def about_clients(census: Census, settings: Settings, dealing: str) -> str:
    """The clients in words; ``dealing``: how they came to their rows."""
    low, high = census.fewest, census.most
    sizes = f"{low:,} rows each" if low == high else f"{low:,} to {high:,} rows"
    parts = [f"{census.clients:,} {dealing}", sizes]
    parts.append(f"{census.one_label:,} of them with one label only" if census.one_label else "")
    parts.append("equal weights" if settings.weights == "equal" else "weighted by samples")
    return ", ".join(filter(None, parts))
