"""Rows from a file, whatever its kind."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np

from .. import _validation as check
from ..labels import TASKS
from .columns import NotNumericError, RawRows, numeric_labels, read_labels
from .csv_rows import read_csv
from .npz_rows import read_npz
from .opening import COMPRESSIONS, suffix
from .parquet_parts import check_part
from .parquet_rows import read_parquet
from .svmlight_rows import read_svmlight
from .tables import Word

__all__ = ["KINDS", "READERS", "guessed", "kind_of", "read", "read_raw"]

# Kind -> reader and the options that it takes beside `label` and `client`.
SVMLIGHT = ("n_features", "zero_based", "max_bytes")
READERS: dict[str, tuple[Callable[..., RawRows], tuple[str, ...]]] = {
    "csv": (read_csv, ("header", "delimiter", "decimal", "keep_index", "as_columns")),
    "npz": (read_npz, ()),
    "parquet": (read_parquet, ("keep_index", "as_columns", "part")),
    "svmlight": (read_svmlight, SVMLIGHT),
}
KINDS = {
    ".csv": "csv",
    ".npz": "npz",
    ".parquet": "parquet",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}


@overload
def read(
    path: str | os.PathLike[str], *, client: None = ..., **options: Any
) -> tuple[Any, np.ndarray]: ...


@overload
def read(
    path: str | os.PathLike[str], *, client: str | int, **options: Any
) -> tuple[Any, np.ndarray, np.ndarray]: ...


def read(  # type: ignore[misc]  # the overloads do not repeat the options
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    task: str | None = None,
    client: str | int | None = None,
    kind: str | None = None,
    sparse: bool | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    keep_index: bool | None = None,
    n_features: int | None = None,
    zero_based: bool | None = None,
    max_bytes: float | None = None,
    part: tuple[int, int] | None = None,
) -> tuple[Any, ...]:
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

    CSV and svmlight files may be compressed: ``rows.csv.gz``, ``.bz2``, ``.xz``.

    What neither the file nor an argument says is guessed, and one warning says so: whether the
    first line of a CSV file is a row, that the last column holds the labels, that a column without
    a name is an index, that svmlight indices start at 1 where both fit ``n_features``.

    Labels. Two distinct integers other than -1 and +1 (such as 0 and 1), or two distinct strings,
    become -1 and +1 in sorted order; under ``task="binary"`` any two numbers do. All other numbers
    are kept as they are. Strings are refused if there are not exactly two, if only some labels are
    numbers, and under ``task="regression"``, which keeps every number. ``task="multiclass"`` keeps
    all labels, also strings, for :class:`localgd.Problem` to map.

    Parameters
    ----------
    path : str or path
        The file.
    label : str or int, optional
        Where the labels are (table above). Indices count from 0, negative ones from the end.
    task : "binary", "multiclass" or "regression", optional
        How to read the labels.
    client : str or int, optional
        Where the client ids are (table above). They stay strings unless all are whole numbers.
    kind : "csv", "npz", "parquet" or "svmlight", optional
        The format, where the suffix does not say it: ``read("a9a.xz", kind="svmlight")``.
    sparse : bool, optional
        Whether the rows of any file are given as CSR. By default those of an svmlight file are,
        unless a dense array takes no more bytes.
    header : bool, optional
        CSV: whether line 1 holds column names. By default it does if none of its cells is a number
        or if ``label`` or ``client`` is a name; 0, 1, 2, … is refused as ambiguous.
    delimiter : str, default ","
        CSV: the character between cells.
    decimal : "." or ",", default "."
        CSV: the character before the decimals of a number.
    keep_index : bool, default False
        CSV, parquet: whether an index is a feature, too. In parquet it is what the metadata of
        pandas calls so, and not counted by ``label`` and ``client``; in CSV a first column without
        a name beside others with names. It may be named as ``label`` or ``client`` in any case.
    n_features : int, optional
        svmlight: d, where it is more than the largest index in the file.
    zero_based : bool, optional
        svmlight: whether indices start at 0, not at 1. By default they do if the file has an index
        0; a test file or one client's may have none, so say it there, with ``n_features``.
    max_bytes : float, default 4e9
        svmlight: refuse to make rows dense that then take more bytes (``sparse=False``).
    part : (int, int), optional
        parquet, with ``client``: (rank, size), the rows of one rank of so many, for
        ``lg.run(…, comm=)``: consecutive clients by sorted id, about as many rows on each rank, and
        none where there are fewer clients. The path may be a folder of files, whose names say the
        values of columns (``site=a/…``). Of other ranks' rows nothing but labels and ids is read.

    Returns
    -------
    X : ndarray or scipy.sparse.csr_array of shape (N, d), float64
        All columns other than labels and client ids, in the order of the file. float32 if a
        ``.npz`` or ``.parquet`` file has them in that type or a smaller one.
    y : ndarray of shape (N,), float64
        Labels or targets; strings as objects under ``task="multiclass"``.
    clients : ndarray of shape (N,), integers or strings (as objects)
        Only if ``client`` is given; pass it to :meth:`localgd.Problem.from_arrays`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For an unknown suffix, a folder, an empty file, options of another kind of file, missing
        columns or arrays, labels that float64 cannot hold, and cells that are not finite numbers:
        the message names file, line and column.
    TypeError
        For arguments of the wrong kind.
    MissingExtraError
        Without pyarrow (CSV, parquet) or scikit-learn (svmlight): ``pip install
        'localgd[data]'``.

    Warns
    -----
    UserWarning
        One line for all that was guessed.

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
    for name, column in (("label", label), ("client", client)):
        if column is not None and (isinstance(column, bool) or not isinstance(column, (str, int))):
            raise TypeError(f"{name}: got {column!r}; want a name, an index or None")
    if task is not None:
        check.one_of("task", task, TASKS)
    try:
        path, raw = read_raw(
            path,
            label,
            client,
            kind=kind,
            sparse=sparse,
            header=header,
            delimiter=delimiter,
            decimal=decimal,
            keep_index=keep_index,
            n_features=n_features,
            zero_based=zero_based,
            max_bytes=max_bytes,
            part=part,
        )
    except NotNumericError as error:
        raise NotNumericError(
            f"{error} (Problem.from_frame takes tables with texts and gaps)"
        ) from None
    y = numeric_labels(read_labels(raw.all_labels, raw.location), task, raw.location)
    y, ids = y[: len(raw.labels)], raw.client_ids()
    if raw.guesses:
        warnings.warn(guessed(path, raw), UserWarning, stacklevel=2)
    return (raw.X, y) if ids is None else (raw.X, y, ids)


def read_raw(
    path: str | os.PathLike[str],
    label: str | int | Word | None,
    client: str | int | Word | None,
    *,
    kind: str | None = None,
    sparse: bool | None = None,
    **options: Any,
) -> tuple[Path, RawRows]:
    """Rows with labels and ids as the file has them; options that are None count as not given.

    ``as_columns=True``, of tables: columns of any kind by name, not an array.
    """
    path = _file(path)
    part = options.get("part")
    if part is not None:
        options["part"] = check_part(part)
        if client is None:
            raise ValueError("part: want client=, too: all rows of a client are in one part")
        kind = "parquet" if kind is None and path.is_dir() else kind
    elif path.is_dir():
        raise ValueError(f"path: {path.absolute()} is a folder; want one file of rows")
    if kind is not None:
        check.one_of("kind", kind, tuple(READERS))
    elif (kind := kind_of(path)) is None:
        raise ValueError(
            f"path: {path.name} ends in {path.suffix!r}; want {', '.join(KINDS)} (texts also with "
            f"{', '.join(COMPRESSIONS)}), or its format as kind= ({', '.join(READERS)})"
        )
    if sparse is not None:
        check.flag("sparse", sparse)
    reader, known = READERS[kind]
    options = _options(path, known, options)
    max_bytes = check.number("max_bytes", options.pop("max_bytes", 4e9), above=0)
    if not path.exists():
        there = [file.name for file in path.parent.glob("*")]  # none where there is no folder
        near = check.did_you_mean(path.name, there)
        raise FileNotFoundError(f"path: no file at {path.absolute()}{near}")
    if not (path.is_file() or (part is not None and path.is_dir())):
        raise ValueError(f"path: {path.absolute()} is no regular file; want a file of rows")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name}: the file is empty; want rows")
    raw = reader(path, label, client, **options)
    if isinstance(raw.X, dict):
        return path, raw
    return path, raw._replace(X=_stored(path, raw.X, sparse, max_bytes))


def kind_of(path: Path) -> str | None:
    """The kind of a file by its suffix, compressed or not."""
    return KINDS.get(suffix(path))


def guessed(path: Path, raw: RawRows) -> str:
    """One line that says what was guessed, and what to say instead."""
    return f"{path.name}: read {', '.join(raw.guesses)}"


def _file(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: got {path!r}; want a string or a path")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a user that there is not
        raise ValueError(f"path: got {str(path)!r}; there is no such home folder") from None


def _options(path: Path, known: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; one that this kind of file does not know is an error."""
    options = {name: value for name, value in given.items() if value is not None}
    for name, value in options.items():
        if name not in known:
            kinds = [kind for kind, (_, takes) in READERS.items() if name in takes]
            raise ValueError(
                f"{name}: got {value!r} for {path.name}; want it only for {', '.join(kinds)}"
            )
    return options


def _stored(path: Path, X: Any, sparse: bool | None, max_bytes: float) -> Any:
    """Rows as they are wanted: as CSR, dense, or (None) what takes less."""
    if isinstance(X, np.ndarray):
        if not sparse:
            return X
        from scipy.sparse import csr_array

        return csr_array(X)
    (N, d), dense = X.shape, X.dtype.itemsize * math.prod(X.shape)
    if sparse or (sparse is None and dense > X.data.nbytes + X.indices.nbytes + X.indptr.nbytes):
        return X
    if sparse is False and dense > max_bytes:
        raise ValueError(
            f"{path.name}: {N} rows of {d} features take {1e-9 * dense:.3g} GB as a dense array; "
            f"want at most {1e-9 * max_bytes:.3g} GB: select features, or raise max_bytes"
        )
    return X.toarray()
