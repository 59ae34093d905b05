"""Sparse rows of svmlight files, compressed files of text, and real sets in both."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from scipy import sparse as sp
from shared_data import shared_file

import localgd as lg
from localgd.cli.own_rows import read_own

pytest.importorskip("sklearn")

# What was guessed of a file: test_datasets.py.
pytestmark = pytest.mark.filterwarnings("ignore:.* read :UserWarning")

read = lg.datasets.read
COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
TEXTS = {"svmlight": b"+1 1:2.5 4:3\n-1 2:1\n", "csv": b"a,b,c,d,y\n2.5,0,0,3,1\n0,1,0,0,-1\n"}
ROWS = [[2.5, 0, 0, 3], [0, 1, 0, 0]]


def bytes_of(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes


def is_csr(X):
    return isinstance(X, sp.csr_array) and X.has_canonical_format and X.dtype == np.float64


# Real sets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("a9a.xz", (32561, 123), {}),
        ("a9a.t.xz", (16281, 123), {"n_features": 123, "zero_based": False}),
        ("w8a.xz", (49749, 300), {}),
        ("phishing.xz", (11055, 68), {}),
        ("mushrooms.xz", (8124, 112), {}),
    ],
)
def test_real_sets(name, shape, options):
    """Every entry and label, by the file taken apart by hand."""
    path = shared_file(name)
    X, y = read(path, kind="svmlight", **options)
    assert (X.shape, y.shape, is_csr(X)) == (shape, shape[:1], True)
    assert X.indices.dtype == X.indptr.dtype == np.int32
    labels, *rows = zip(*(line.partition(b" ")[::2] for line in lzma.open(path)), strict=True)
    values = sorted(map(float, set(labels)))
    np.testing.assert_array_equal(y, [2 * values.index(float(t)) - 1 for t in labels])
    entries = [entry.split(b":") for row in rows[0] for entry in row.split()]
    np.testing.assert_array_equal(X.indices + 1, [int(index) for index, _ in entries])
    np.testing.assert_array_equal(X.data, [float(value) for _, value in entries])
    np.testing.assert_array_equal(np.diff(X.indptr), [row.count(b":") for row in rows[0]])


# Which rows are sparse ------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path):
    """The same rows in a file of every kind."""
    for kind, text in TEXTS.items():
        (tmp_path / f"rows.{kind}").write_bytes(text)
    np.savez(tmp_path / "rows.npz", X=ROWS, y=[1, -1])
    return {path.suffix[1:]: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", ["svmlight", "csv", "npz"])
def test_rows_as_asked_for(paths, kind):
    X, y = read(paths[kind], sparse=False)
    assert type(X) is np.ndarray
    assert (X.tolist(), y.tolist()) == (ROWS, [1, -1])
    X, y = read(paths[kind], sparse=True)
    assert is_csr(X)
    assert (X.toarray().tolist(), y.tolist()) == (ROWS, [1, -1])
    for options in ({}, {"sparse": None}):
        default = read(paths[kind], **options)[0]
        assert type(default) is (np.ndarray if kind != "svmlight" else type(X))


@pytest.mark.parametrize(("d", "dense"), [(3, True), (4, True), (5, False)])
def test_csr_unless_dense_takes_no_more_bytes(tmp_path, d, dense):
    """Two entries in one row: 2 (8 + 4) + 2 · 4 = 32 bytes, as 4 numbers."""
    path = tmp_path / "rows.svm"
    path.write_text("1 1:2 3:1\n")
    X, _ = read(path, n_features=d, zero_based=False)
    assert isinstance(X, np.ndarray) == dense
    assert np.asarray(X if dense else X.toarray()).tolist() == [[2, 0, 1, 0, 0][:d]]


def test_sparse_rows_of_many_features(tmp_path):
    """What takes gigabytes as a dense array takes what its entries take."""
    path, rng = tmp_path / "rows.svm", np.random.default_rng(0)
    indices = np.sort(rng.integers(0, 5_000, (3_000, 60)) + 5_000 * np.arange(60), axis=1)
    values = rng.standard_normal((3_000, 60))
    with path.open("w") as file:
        for i in range(3_000):
            entries = zip((indices[i] + 1).tolist(), values[i].tolist(), strict=True)
            file.write(f"{i % 2} " + " ".join(f"{j}:{value!r}" for j, value in entries) + "\n")
    read(path, sparse=True)  # imports
    tracemalloc.start()
    X, _ = read(path, sparse=True, n_features=300_000, zero_based=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (X.data.tobytes(), X.shape) == (values.tobytes(), (3_000, 300_000))
    np.testing.assert_array_equal(X.indices, indices.ravel())
    np.testing.assert_array_equal(X.indptr, 60 * np.arange(3_001))
    assert peak < 2.5 * bytes_of(X)
    message = "3000 rows of 300000 features take 7.2 GB as a dense array; want at most 4 GB"
    with pytest.raises(ValueError, match=message):
        read(path, sparse=False, n_features=300_000)


def test_problems_of_files(paths):
    problem = lg.Problem([read(paths["svmlight"])])
    assert problem.sparse
    assert problem.X.toarray().tolist() == ROWS


def test_sparse_refuses(paths):
    with pytest.raises(TypeError, match="sparse: got 1; want True or False"):
        read(paths["csv"], sparse=1)


# Labels and ids -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "y"),
    [
        (["yes", "no", "yes"], [1, -1, 1]),
        (["class_1", "class_2", "class_2"], [-1, 1, 1]),
        (["0", "1", "0"], [-1, 1, -1]),
        (["2", "1", "2.0"], [1, -1, 1]),
        (["3", "1", "2"], [3, 1, 2]),
        (["0.5", "-2e3", "7"], [0.5, -2000, 7]),
    ],
)
def test_labels_are_those_of_the_file(tmp_path, labels, y):
    path = tmp_path / "rows.svm"
    path.write_text("".join(f"{label}\t1:{i + 1}\n" for i, label in enumerate(labels)))
    got = read(path)[1]
    assert (got.dtype, got.tolist()) == (np.float64, y)
    own = read_own(path, None, None)
    assert own.y.tolist() == [label if label[0].isalpha() else float(label) for label in labels]


def test_equal_labels_are_kept_once(paths):
    """A label takes 8 bytes a row, however it is written."""
    paths["svmlight"].write_bytes(b"yes 1:1\nno 1:2\nyes 1:3\n")
    _, raw = lg.datasets.files.read_raw(paths["svmlight"], None, None)
    assert raw.labels[0] is raw.labels[2]


def test_clients_are_the_qids(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("1 qid:7 1:2\n-1 qid:-3 # 1:5\n1\tqid:7\t2:1\n")
    X, y, clients = read(path, client="qid", sparse=False)
    assert X.tolist() == [[2, 0], [0, 0], [0, 1]]
    assert (y.tolist(), clients.tolist()) == ([1, -1, 1], [7, -3, 7])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1:2 3:4", "'1:2' in place of a label"),
        ("1 1:2_0", "an underscore; want lines such as 1 3:0.5 7:2"),
        ("1 qid:a 1:2", "invalid literal for int"),
        ("1 qid:1 qid:2 1:2", "invalid literal for int"),
        ("1 qid:99999999999999999999 1:2", "too big"),
        ("1 99999999999:2", "too large to convert"),
        ("1 -1:2", "Invalid index -1"),
        ("1 2:2 2:3", "sorted and unique"),
        ("1 2", "value to unpack; want lines such as"),
        ("1 2:1e999", "inf as feature 1 .counted from 0.; want finite numbers"),
        ("one 2:1", "label 'one' is not a number, others are"),
    ],
)
@pytest.mark.parametrize("ending", ["svm", "svm.xz"])
def test_what_is_wrong_where(tmp_path, line, message, ending):
    path = tmp_path / f"rows.{ending}"
    text = f"1 1:2\n# a comment\n\n-1 2:1\n{line}\n1 1:1\n".encode()
    path.write_bytes(lzma.compress(text) if ending.endswith("xz") else text)
    with pytest.raises(ValueError, match=rf"^rows\.{re.escape(ending)} line 5: .*{message}"):
        read(path)


# Compressed files -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "XZ"])
def test_compressed(tmp_path, kind, ending):
    packed = COMPRESS[ending.lower()](TEXTS[kind])
    for name, options in ((f"rows.{kind}.{ending}", {}), (f"a9a.{ending}", {"kind": kind})):
        (tmp_path / name).write_bytes(packed)
        X, y = read(tmp_path / name, sparse=False, **options)
        assert (X.tolist(), y.tolist()) == (ROWS, [1, -1])
    with pytest.raises(ValueError, match=rf"a9a\.{ending} ends in '\.{ending}'; want .csv, .*\.xz"):
        read(tmp_path / f"a9a.{ending}")


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("ending", COMPRESS)
def test_compressed_files_that_are_broken(tmp_path, kind, ending):
    path = tmp_path / f"rows.{kind}.{ending}"
    packed = COMPRESS[ending](TEXTS[kind] + b"".join(TEXTS[kind].splitlines(True)[-2:] * 50))
    for data in (TEXTS[kind], packed[:-9], packed[: len(packed) // 2]):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match=rf"^rows\.{kind}\.{ending}: not a whole {ending} file"
        ):
            read(path)
    path.write_bytes(packed[:20] + packed[23:])  # gzip gives some other text before it finds out
    with pytest.raises(ValueError, match=rf"^rows\.{kind}\.{ending}(:| line \d)"):
        read(path)
    path.write_bytes(COMPRESS[ending](b""))
    with pytest.raises(ValueError, match=f"rows.{kind}.{ending}: no (rows|lines with text)"):
        read(path)


def test_compressed_csv_of_many_blocks(tmp_path):
    """What is wrong with a cell, and where a label is, are found by reading the file again."""
    path = tmp_path / "rows.csv.gz"
    lines = ["x,y", *(f"{i}.25,{i % 3}" for i in range(200_000))]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    X, y = read(path)
    assert (X[:, 0] == np.arange(200_000) + 0.25).all()
    assert Counter(y.tolist()) == {0: 66667, 1: 66667, 2: 66666}
    for row, message in (("z,1", "'x': 'z' is not a finite number"), ("1,w", "'y': label 'w' is")):
        lines[150_000] = row
        path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
        with pytest.raises(ValueError, match=f"rows.csv.gz line 150001, column {message}"):
            read(path)


def test_the_shell_counts_columns_of_compressed_csv(tmp_path):
    path = tmp_path / "rows.csv.xz"
    path.write_bytes(lzma.compress(b"y,a,c\n1,2,u\n-1,3,v\n"))
    own = read_own(path, "0", "2")
    assert (own.X.tolist(), own.y.tolist(), own.ids.tolist()) == ([[2], [3]], [1, -1], ["u", "v"])
