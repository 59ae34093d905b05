"""svmlight files."""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import _validation as check
from .columns import RawRows, shown
from .opening import opened

__all__ = ["read_svmlight"]


def read_svmlight(
    path: Path,
    label: str | int | None,
    client: str | int | None,
    *,
    n_features: int | None = None,
    zero_based: bool | None = None,
) -> RawRows:
    """Sparse rows of an svmlight file; indices start at 1 unless the file has an index 0."""
    if label is not None:
        raise ValueError(f"label: got {label!r} for {path.name}; want None: it starts each line")
    if client not in (None, "qid"):
        raise ValueError(f"client: got {client!r} for {path.name}; want 'qid' or None")
    if n_features is not None:
        n_features = check.integer("n_features", n_features, 1)
    if zero_based is not None:
        check.flag("zero_based", zero_based)
    with opened(path) as stream:
        lines = _Lines(path, stream)
        X = lines.parse()
    labels, qid = lines.labels, np.array(lines.qids)
    if not labels:
        raise ValueError(f"{path.name}: no rows; want at least one")
    if client is not None and len(qid) != len(labels):
        raise ValueError(f"{path.name}: qid on {len(qid)} of {len(labels)} rows; want one on each")
    X, guesses = _columns(path, X, n_features, zero_based)

    def location(i: int, role: str = "") -> str:
        with opened(path) as stream:
            lines = _Lines(path, stream)
            next(row for k, row in enumerate(lines) if k == i)
            return f"{path.name} line {lines.number}"

    bad = np.flatnonzero(~np.isfinite(X.data))
    if len(bad):
        row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1
        raise ValueError(
            f"{location(row)}: {X.data[bad[0]]} as feature {X.indices[bad[0]]} (counted from 0); "
            "want finite numbers: drop or impute those rows first"
        )
    return RawRows(X, labels, None if client is None else qid, location, guesses)


class _Lines(io.RawIOBase):
    """The rows of a file as lines for scikit-learn, which takes what has a method ``read``.

    ``labels`` and ``qids`` of the lines so far as they stand there, since scikit-learn takes
    numbers alone and rounds them; ``number`` of the last line.
    """

    def __init__(self, path: Path, stream: BinaryIO):
        self.path, self.stream, self.number = path, stream, 0
        self.labels: list[bytes] = []
        self.qids = array("q")
        self.distinct: dict[bytes, bytes] = {}

    def parse(self) -> Any:
        """CSR rows by the indices in the file."""
        load = check.require("sklearn.datasets", "data", "reading svmlight").load_svmlight_file
        try:
            return load(self, zero_based=True)[0]
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{self.path.name} line {self.number}: {error}; want lines such as 1 3:0.5 7:2 (a "
                "label, and indices in ascending order with their numbers)"
            ) from None

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        for line in self.stream:
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            line = line.partition(b"#")[0]
            if b": " in line or b":\t" in line:  # LIBSVM's own reader takes it
                line = re.sub(rb":[ \t]+", b":", line)
            label, *rest = line.split(None, 1) or [b""]
            if label:
                yield self._entries(label, rest[0] if rest else b"")

    def _entries(self, label: bytes, rest: bytes) -> bytes:
        if b":" in label:
            raise ValueError(f"{shown(label.decode(errors='replace'))} in place of a label")
        if b"_" in rest:  # Python reads 1_000 as 1000
            raise ValueError("an underscore")
        self.labels.append(self.distinct.setdefault(label, label))
        if rest.startswith(b"qid"):
            qid, *rest_of_it = rest.split(None, 1)
            self.qids.append(int(qid.removeprefix(b"qid:")))
            rest = rest_of_it[0] if rest_of_it else b""
        return b"0 qid:0 " + rest  # a second qid would be an index


def _columns(
    path: Path, sparse: Any, n_features: int | None, zero_based: bool | None
) -> tuple[Any, tuple[str, ...]]:
    """The columns that indices from 0 or from 1 mean, and what to say if that was guessed."""
    from scipy.sparse import csr_array

    indices = sparse.indices
    if not len(indices) and n_features is None:
        raise ValueError(f"{path.name}: no row has a feature; want at least one, or n_features")
    has_zero = bool((indices == 0).any())
    if has_zero and zero_based is False:
        raise ValueError(f"{path.name}: an index 0 and zero_based=False; want indices from 1 on")
    start = 0 if has_zero or zero_based else 1
    largest = int(indices.max()) if len(indices) else 0
    d = n_features or largest + 1 - start
    if largest + 1 - start > d:
        raise ValueError(
            f"{path.name}: n_features: got {d}, but an index of {largest} (indices start at "
            f"{start}); want at least {largest + 1 - start}"
        )
    guessed = zero_based is None and start == 1 and len(indices) and largest < d
    guesses = ("indices as starting at 1 (zero_based=True: at 0)",) if guessed else ()
    indices -= start
    dtype = np.int32 if max(len(indices), d) < 2**31 else np.int64
    arrays = (sparse.data, indices.astype(dtype), sparse.indptr.astype(dtype))
    return csr_array(arrays, shape=(len(sparse.indptr) - 1, d)), guesses
