"""Rows from a file, whatever its kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np

from .. import _validation as check
from .arrays import read_npz, read_svmlight
from .columns import RawRows, client_ids, numeric_labels
from .tables import read_csv, read_parquet

__all__ = ["read"]

# Suffix -> reader and the options that it takes beside `label` and `client`.
READERS: dict[str, tuple[Callable[..., RawRows], tuple[str, ...]]] = {
    ".csv": (read_csv, ("header", "delimiter")),
    ".npz": (read_npz, ()),
    ".parquet": (read_parquet, ()),
    ".svm": (read_svmlight, ("n_features", "max_bytes")),
    ".svmlight": (read_svmlight, ("n_features", "max_bytes")),
    ".libsvm": (read_svmlight, ("n_features", "max_bytes")),
}


@overload
def read(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = ...,
    task: str | None = ...,
    client: None = ...,
    header: bool | None = ...,
    delimiter: str | None = ...,
    n_features: int | None = ...,
    max_bytes: float | None = ...,
) -> tuple[np.ndarray, np.ndarray]: ...


@overload
def read(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = ...,
    task: str | None = ...,
    client: str | int,
    header: bool | None = ...,
    delimiter: str | None = ...,
    n_features: int | None = ...,
    max_bytes: float | None = ...,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...


def read(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    task: str | None = None,
    client: str | int | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    n_features: int | None = None,
    max_bytes: float | None = None,
) -> tuple[np.ndarray, ...]:
    """Rows and labels from a ``.csv``, ``.npz``, ``.parquet`` or svmlight file.

    ``y = -1`` for the smaller and ``+1`` for the larger of two classes; numbers otherwise

    ================================ ============================ ===============================
    suffix                           ``label``                    ``client``
    ================================ ============================ ===============================
    ``.csv``, ``.parquet``           column name or index;        column name or index
                                     default the last column
                                     that is not ``client``
    ``.npz`` (rows in array ``X``)   array name, default ``"y"``  array name
    ``.svm .svmlight .libsvm``       (starts the line)            ``"qid"``
    ================================ ============================ ===============================

    Labels. Two distinct integers other than -1 and +1 (such as 0 and 1), or two distinct strings,
    become -1 and +1 in sorted order; under ``task="binary"`` any two numbers do. All other numbers
    are kept as they are. Strings are refused if there are not exactly two, if only some labels are
    numbers, and under ``task="regression"``, which keeps every number.

    Parameters
    ----------
    path : str or path
    label : str or int, optional
        Where the labels are (table above). Indices count from 0, negative ones from the end.
    task : "binary" or "regression", optional
        How to read the labels.
    client : str or int, optional
        Where the client ids are (table above). They stay strings unless all are whole numbers.
    header : bool, optional
        CSV: whether line 1 holds column names. By default it does if none of its cells is a number
        or if ``label`` or ``client`` is a name.
    delimiter : str, default ","
        CSV: the character between cells.
    n_features : int, optional
        svmlight: d, where it is more than the largest index in the file.
    max_bytes : float, default 4e9
        svmlight: sparse rows are made dense; refuse if that takes more bytes.

    Returns
    -------
    X : ndarray of shape (N, d), float64
        All columns other than labels and client ids, in the order of the file.
    y : ndarray of shape (N,), float64
    clients : ndarray of shape (N,), integers or strings
        Only if ``client`` is given; pass it to :meth:`localgd.Problem.from_arrays`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For an unknown suffix, an empty file, options of another kind of file, missing columns or
        arrays, and cells that are not finite numbers: the message names file, line and column.
    TypeError
        For arguments of the wrong kind.
    MissingExtraError
        Without scikit-learn (svmlight) or pyarrow (parquet): ``pip install 'localgd[data]'``.

    References
    ----------
    svmlight format: Joachims 1999, https://www.cs.cornell.edu/people/tj/svm_light/.

    Examples
    --------
    >>> import tempfile, pathlib, localgd as lg
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "rows.csv")
    >>> _ = path.write_text("age,dose,hospital,ill\\n61,0.5,a,no\\n70,2.0,b,yes\\n44,1.5,b,no\\n")
    >>> X, y, clients = lg.datasets.read(path, label="ill", client="hospital")
    >>> X.tolist(), y.tolist(), clients.tolist()
    ([[61.0, 0.5], [70.0, 2.0], [44.0, 1.5]], [-1.0, 1.0, -1.0], ['a', 'b', 'b'])
    >>> lg.Problem.from_arrays(X, y, clients)
    Problem(binary: 2 clients, 3 rows (1 to 2 per client), 2 features)
    >>> folder.cleanup()
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: got {path!r}; want a string or a path")
    path = Path(path).expanduser()
    if path.suffix.lower() not in READERS:
        raise ValueError(f"path: {path.name} ends in {path.suffix!r}; want {', '.join(READERS)}")
    for name, place in (("label", label), ("client", client)):
        if place is not None and (isinstance(place, bool) or not isinstance(place, (str, int))):
            raise TypeError(f"{name}: got {place!r}; want a name, an index or None")
    if task is not None:
        check.one_of("task", task, ("binary", "regression"))
    reader, known = READERS[path.suffix.lower()]
    options = _options(
        path,
        known,
        header=header,
        delimiter=delimiter,
        n_features=n_features,
        max_bytes=max_bytes,
    )
    if not path.is_file():
        raise FileNotFoundError(f"path: no file at {path.absolute()}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name}: the file is empty; want rows")
    raw = reader(path, label, client, **options)
    y = numeric_labels(raw.labels, task, raw.place)
    if raw.clients is None:
        return raw.X, y
    return raw.X, y, client_ids(raw.clients, raw.place)


def _options(path: Path, known: tuple[str, ...], **given: Any) -> dict[str, Any]:
    """The options that were given; one that this kind of file does not know is an error."""
    options = {name: value for name, value in given.items() if value is not None}
    for name, value in options.items():
        if name not in known:
            kinds = [suffix for suffix, (_, takes) in READERS.items() if name in takes]
            raise ValueError(
                f"{name}: got {value!r} for {path.name}; want it only for {', '.join(kinds)}"
            )
    return options
