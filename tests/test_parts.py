"""Files of which each rank reads the rows of its own clients."""

import numpy as np
import pytest

import localgd as lg

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

SIZES = {"b": 7, "a": 3, "d": 5, "c": 9, "e": 1}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    sites = rng.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    return pyarrow.table(
        {
            "x": rng.standard_normal(len(sites)),
            "z": rng.standard_normal(len(sites)),
            "site": sites,
            # A part may have one of the two labels alone.
            "ill": np.where(np.isin(sites, ["a", "e"]), "no", "yes"),
        }
    )


@pytest.fixture(params=["file", "folder"])
def path(request, table, tmp_path):
    if request.param == "file":
        parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=4)
        return tmp_path / "rows.parquet"
    parquet.write_to_dataset(table, tmp_path / "rows", partition_cols=["site"])
    return tmp_path / "rows"


def parts(path, size, **how):
    how = {"label": "ill", "client": "site", **how}
    return [lg.datasets.read(path, part=(rank, size), **how) for rank in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_parts_are_all_rows_and_no_client_is_in_two(path, table, size):
    found = parts(path, size)
    ids = [sorted(set(ids)) for _, _, ids in found]
    assert [id for own in ids for id in own] == sorted(SIZES)  # consecutive clients
    X, y, clients = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(X[:, 0])
    want = table.sort_by("x")
    np.testing.assert_array_equal(X[order, 0], want["x"])
    np.testing.assert_array_equal(X[order, 1], want["z"])
    np.testing.assert_array_equal(clients[order], want["site"].to_pylist())
    ill = np.array(want["ill"].to_pylist()) == "yes"
    np.testing.assert_array_equal(y[order], np.where(ill, 1.0, -1.0))


def test_parts_have_about_as_many_rows_each(path):
    assert [len(y) for _, y, _ in parts(path, 2)] == [10, 15]
    assert [len(y) for _, y, _ in parts(path, 8)].count(0) == 3


def test_ids_are_of_one_kind_in_all_parts(tmp_path):
    table = pyarrow.table({"x": [1.0, 2.0, 3.0], "site": ["1", "2", "x"], "y": [0.5, 1.5, 2.5]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    found = parts(tmp_path / "rows.parquet", 3, label="y")
    assert [ids.tolist() for _, _, ids in found] == [["1"], ["2"], ["x"]]


def test_columns_that_are_categories(tmp_path, table):
    column = table["site"].dictionary_encode()
    parquet.write_table(table.set_column(2, "site", column), tmp_path / "rows.parquet")
    assert sum(len(y) for _, y, _ in parts(tmp_path / "rows.parquet", 3)) == table.num_rows


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"part": (2, 2)}, ValueError, "part: got rank 2 of 2"),
        ({"part": 3}, TypeError, "want a pair"),
        ({"part": (0, 2), "client": None}, ValueError, "part: want client="),
        ({"part": (0.5, 2)}, ValueError, "part: rank"),
        ({"part": (0, 2), "client": "place"}, ValueError, "no column 'place'"),
    ],
)
def test_what_is_no_part_is_refused(path, how, error, said):
    with pytest.raises(error, match=said):
        lg.datasets.read(path, **{"label": "ill", "client": "site", **how})


def test_other_files_have_no_parts(tmp_path):
    (tmp_path / "rows.csv").write_text("x,site,y\n1,a,2\n")
    with pytest.raises(ValueError, match="want it only for parquet"):
        lg.datasets.read(tmp_path / "rows.csv", label="y", client="site", part=(0, 2))
    with pytest.raises(ValueError, match="is a folder"):
        lg.datasets.read(tmp_path, label="y", client="site")
