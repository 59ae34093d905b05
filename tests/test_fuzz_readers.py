"""Files that were changed at random: each reader gives the right rows or says what is wrong where.

Every day a fixed number of examples; ``python -m pytest -m slow tests/test_fuzz_readers.py`` tries
many more, new ones each time.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import localgd as lg

pytestmark = pytest.mark.filterwarnings("ignore:rows.* read :UserWarning")

DAILY, LONG = 60, 3000
EXAMPLES = pytest.mark.parametrize(
    "examples", [pytest.param(DAILY), pytest.param(LONG, marks=pytest.mark.slow)]
)


def tried(examples, body, **strategies):
    """Run the body with so many examples."""
    settings(
        max_examples=examples,
        derandomize=examples == DAILY,
        suppress_health_check=list(HealthCheck),
    )(given(**strategies)(body))()


PIECES = [
    sign.encode()
    for sign in ", \n \r \" : # _ nan - 1e999 . ' = [ { 0 99999999999999 \0".split(" ")
]
PIECES += [b" ", b"\xff", b"\xef\xbb\xbf"]

# Places are shares of the file, so that edits shrink on their own.
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["flip", "delete", "insert", "copy", "cut"]),
        st.integers(1, 40),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from(PIECES),
        ),
    ),
    max_size=4,
)


def edited(data, edits):
    """The bytes after some edits."""
    for where, what, length, new in edits:
        at = int(where * len(data))
        if what == "flip" and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (1 << length % 8)]) + data[at + 1 :]
        elif what == "delete":
            data = data[:at] + data[at + length :]
        elif what == "insert":
            data = data[:at] + new + data[at:]
        elif what == "copy":
            data = data[:at] + data[at : at + length] + data[at:]
        elif what == "cut":
            data = data[:at]
    return data


PLACE = re.compile(
    r"line \d+|row \d+|column|\[\d+\]|array '|is no array|X has shape|: X: |y has shape|"
    r"the file is empty|no lines with text|no rows|not an NPZ file|not a parquet file|"
    r"metadata of pandas|no row has a feature|as a dense array|qid on"
)


def read(path, data, **options):
    """The rows of a file with these bytes, or None if they are refused as they should be."""
    path.write_bytes(data)
    try:
        return lg.datasets.read(path, **options)
    except ValueError as error:
        assert path.name in str(error), f"no file: {error}"
        assert PLACE.search(str(error)), f"no place: {error}"
        return None


def assert_rows(got, wanted):
    assert len(got) == len(wanted)
    for found, right in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(found, right)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**6), 10**6).map(float)
)
TABLES = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.lists(NUMBERS, min_size=d + 1, max_size=d + 1), min_size=1, max_size=5)
)

# CSV ------------------------------------------------------------------------------------------


def csv_text(table, dialect):
    """A CSV file of the rows, with names a, b, … if the dialect wants them."""
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if dialect["quoted"] else csv.QUOTE_MINIMAL
    writer = csv.writer(
        out, delimiter=dialect["delimiter"], lineterminator=dialect["newline"], quoting=quoting
    )
    if dialect["header"]:
        writer.writerow("abcdefgh"[: len(table[0])])
    for row in table:
        writer.writerow([dialect["space"] + repr(value) for value in row])
        out.write(dialect["between"] + dialect["newline"] if dialect["blank"] else "")
    text = out.getvalue()
    if not dialect["ended"]:
        text = text.rstrip(dialect["newline"] + dialect["between"])
    return ("\ufeff" if dialect["bom"] else "") + text


DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t", "|", " "]),
        "newline": st.sampled_from(["\n", "\r\n", "\r"]),
        "quoted": st.booleans(),
        "header": st.booleans(),
        "space": st.sampled_from(["", " "]),
        "between": st.sampled_from(["", " "]),
        "blank": st.booleans(),
        "ended": st.booleans(),
        "bom": st.booleans(),
    }
).filter(lambda d: (not (d["space"] and d["quoted"]) and d["delimiter"] != " ") or not d["space"])


def csv_oracle(data, *, header, delimiter):
    """Rows and numeric labels of a CSV file by the standard library, None if it is none."""
    try:
        text = data.decode().replace("\ufeff", "")
        lines = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=False
        )
        rows = [row for row in lines if len(row) > 1 or (row and row[0].strip(" \t"))]
    except (ValueError, csv.Error):
        return None
    if not rows or "\0" in text or len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
        return None
    index = int(header and not rows[0][0].strip())  # a first column without a name
    cells = [cell for row in rows[header:] for cell in row[index:]]
    try:
        numbers = np.array([float(cell) for cell in cells]).reshape(len(rows) - header, -1)
    except ValueError:
        return None
    if not len(numbers) or "_" in "".join(cells) or not np.isfinite(numbers).all():
        return None
    return (numbers[:, :-1], numbers[:, -1]) if numbers.shape[1] > 1 else None


@EXAMPLES
def test_csv(tmp_path, examples):
    pytest.importorskip("pyarrow")

    def body(table, dialect, edits):
        text = csv_text(table, dialect).encode()
        options = {name: dialect[name] for name in ("header", "delimiter")}
        label = len(table[0]) - 1
        wanted = np.array(table)
        got = read(tmp_path / "rows.csv", text, label=label, task="regression", **options)
        assert_rows(got, (wanted[:, :-1], wanted[:, -1]))
        broken = edited(text, edits)
        got = read(tmp_path / "rows.csv", broken, label=-1, task="regression", **options)
        wanted = csv_oracle(broken, **options)
        if got is not None:
            assert wanted is not None, "read what is no CSV"
            assert_rows(got, wanted)
        elif wanted is not None:  # quotes that are open at the end
            lines = io.StringIO(broken.decode(), newline="")
            with pytest.raises(csv.Error):
                list(csv.reader(lines, delimiter=options["delimiter"], strict=True))

    tried(examples, body, table=TABLES, dialect=DIALECTS, edits=EDITS)


@EXAMPLES
def test_csv_of_texts(tmp_path, examples):
    """Labels and ids may hold what they like: ends of lines, quotes, delimiters."""
    pytest.importorskip("pyarrow")
    words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"))
    words = words.map(str.strip).filter(lambda t: t and not t[0].isdigit()).map(lambda t: "w" + t)

    def body(ids, labels, newline):
        labels = [labels[k] for k in (0, 1, 0)]
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator=newline, quoting=csv.QUOTE_ALL)
        writer.writerows(
            [["x", "site", "y"], *zip((1, 2, 3), ids, labels, strict=True)],
        )
        data = out.getvalue().encode()
        X, y, clients = read(tmp_path / "rows.csv", data, label="y", client="site")
        assert X.ravel().tolist() == [1, 2, 3]
        assert clients.tolist() == ids
        assert y.tolist() == [1.0 if t == max(labels) else -1.0 for t in labels]

    labels = st.lists(words, min_size=2, max_size=2, unique=True)
    ids = st.lists(words, min_size=3, max_size=3)
    tried(examples, body, ids=ids, labels=labels, newline=st.sampled_from(["\n", "\r\n"]))


# svmlight -------------------------------------------------------------------------------------


def svmlight_text(table, dialect):
    lines = []
    for *row, label in table:
        entries = [
            f"{j + dialect['start']}:{dialect['space']}{value!r}"
            for j, value in enumerate(row)
            if value or j in (0, len(row) - 1)
        ]
        lines.append(" ".join([repr(label), *entries]) + dialect["comment"])
        lines += [""] * dialect["blank"]
    text = dialect["newline"].join(lines) + dialect["newline"] * dialect["ended"]
    return ("\ufeff" if dialect["bom"] else "") + text


def svmlight_oracle(data):
    """Rows and labels of an svmlight file, taken apart by hand, None if it is none."""
    entries, labels = [], []
    try:
        for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            line = line.partition(b"#")[0]
            words = re.sub(rb":[ \t]+", b":", line).split()
            if not words:
                continue
            labels.append(float(words[0]))
            words = words[1:]
            if words and words[0].startswith(b"qid"):
                words = words[1:]
            pairs = [word.split(b":", 1) for word in words]
            entries.append({int(index): float(value) for index, value in pairs})
            if [int(index) for index, _ in pairs] != sorted(entries[-1]):
                return None
    except ValueError:
        return None
    indices = [index for row in entries for index in row]
    if not indices or min(indices) < 0 or max(indices) > 10**6:
        return None
    start = 0 if 0 in indices else 1
    X = np.zeros((len(labels), max(indices) + 1 - start))
    for row, values in zip(X, entries, strict=True):
        for index, value in values.items():
            row[index - start] = value
    return X, np.array(labels)


@EXAMPLES
def test_svmlight(tmp_path, examples):
    pytest.importorskip("sklearn")
    dialects = st.fixed_dictionaries(
        {
            "start": st.sampled_from([0, 1]),
            "space": st.sampled_from(["", " ", "\t"]),
            "comment": st.sampled_from(["", " # 1:x _", "#"]),
            "newline": st.sampled_from(["\n", "\r\n"]),
            "blank": st.integers(0, 2),
            "ended": st.booleans(),
            "bom": st.booleans(),
        }
    )

    def body(table, dialect, edits):
        text = svmlight_text(table, dialect).encode()
        wanted = np.array(table)
        got = read(tmp_path / "rows.svm", text, task="regression")
        assert_rows(got, (wanted[:, :-1], wanted[:, -1]))
        broken = edited(text, edits)
        got = read(tmp_path / "rows.svm", broken, task="regression", max_bytes=1e6)
        if got is not None:
            wanted = svmlight_oracle(broken)
            assert wanted is not None, "read what is no svmlight"
            assert_rows(got, wanted)

    tried(examples, body, table=TABLES, dialect=dialects, edits=EDITS)


# Parquet --------------------------------------------------------------------------------------


@EXAMPLES
def test_parquet(tmp_path, examples):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def body(table, edits, tail):
        wanted = np.array(table)
        names = [f"x{j}" for j in range(wanted.shape[1])]
        stored = io.BytesIO()
        columns = arrow.table(dict(zip(names, wanted.T, strict=True)))
        parquet.write_table(columns, stored, write_page_checksum=True, compression="none")
        data, right = stored.getvalue(), (wanted[:, :-1], wanted[:, -1])
        label = names[-1]
        options = {"label": label, "task": "regression"}
        assert_rows(read(tmp_path / "rows.parquet", data, **options), right)
        # The description at the end has no checksum: it may say other things and be right.
        end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        pages, description = data[:end], data[end:]
        broken = pages + edited(description, edits) if tail else edited(pages, edits) + description
        got = read(tmp_path / "rows.parquet", broken, **options)
        if got is not None and not tail:
            assert_rows(got, right)
        elif got is not None:
            X, y = got
            assert X.shape[0] == len(y) > 0
            assert np.isfinite(X).all() and np.isfinite(y).all()

    tried(examples, body, table=TABLES, edits=EDITS, tail=st.booleans())


INDICES = ["range", "steps", "named", "unnamed", "texts", "several", "no metadata"]


@EXAMPLES
def test_parquet_of_pandas(tmp_path, examples):
    """Whatever the index is and wherever it is stored, rows and labels stay the same."""
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def body(table, index, kind, given):
        wanted = np.array(table)
        n = len(wanted)
        frame = pandas.DataFrame(
            wanted[:, :-1], columns=[f"x{j}" for j in range(wanted.shape[1] - 1)]
        )
        labels = (wanted[:, -1] > 0).astype(int)
        frame["y"] = {
            "int": labels,
            "uint8": labels.astype(np.uint8),
            "bool": labels.astype(bool),
            "text": np.array(["no", "yes"])[labels],
            "category": pandas.Categorical.from_codes(labels, ["no", "yes"]),
            "Int64": pandas.array(labels, dtype="Int64"),
            "large": 2**60 + labels,
        }[kind]
        ids = [f"p{i}" for i in range(n)]
        if index == "steps":
            frame.index = pandas.RangeIndex(5, 5 + 3 * n, 3, name="y2")
        elif index in ("named", "unnamed", "no metadata"):
            frame.index = pandas.Index(
                np.arange(n) + 7, name="patient" if index == "named" else None
            )
        elif index == "texts":
            frame.index = pandas.Index(ids, name="patient")
        elif index == "several":
            frame.index = pandas.MultiIndex.from_arrays([ids, range(n)], names=["patient", None])
        stored = arrow.Table.from_pandas(frame)
        if index == "no metadata":
            stored = stored.replace_schema_metadata(None)
        parquet.write_table(stored, tmp_path / "rows.parquet")
        options = {"label": {"name": "y", "place": -1, "default": None}[given]}
        if index in ("texts", "several"):
            options["client"] = "patient"
        X, y, *clients = lg.datasets.read(tmp_path / "rows.parquet", **options)
        np.testing.assert_array_equal(X, wanted[:, :-1])
        np.testing.assert_array_equal(y, 2 * labels - 1)
        if clients:
            assert clients[0].tolist() == ids

    tried(
        examples,
        body,
        table=TABLES.filter(lambda t: min(r[-1] for r in t) <= 0 < max(r[-1] for r in t)),
        index=st.sampled_from(INDICES),
        kind=st.sampled_from(["int", "uint8", "bool", "text", "category", "Int64", "large"]),
        given=st.sampled_from(["name", "place", "default"]),
    )


# NPZ ------------------------------------------------------------------------------------------


@EXAMPLES
def test_npz(tmp_path, examples):
    def body(table, edits, packed, member):
        wanted = np.array(table)
        X, y, ids = wanted[:, :-1], wanted[:, -1], np.arange(len(wanted))
        stored = io.BytesIO()
        (np.savez_compressed if packed else np.savez)(stored, X=X, y=y, c=ids)
        options = {"client": "c", "task": "regression"}
        assert_rows(read(tmp_path / "rows.npz", stored.getvalue(), **options), (X, y, ids))
        got = read(tmp_path / "rows.npz", edited(stored.getvalue(), edits), **options)
        if got is not None:  # the archive has checksums
            assert_rows(got, (X, y, ids))
        # An archive that is whole, of an array that is not.
        again = io.BytesIO()
        with zipfile.ZipFile(stored) as old, zipfile.ZipFile(again, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                new.writestr(name, edited(data, edits) if name == member else data)
        got = read(tmp_path / "rows.npz", again.getvalue(), **options)
        if got is not None:
            assert got[0].ndim == 2 and len(got[0]) == len(got[1]) == len(got[2]) > 0
            assert np.isfinite(got[0]).all() and np.isfinite(got[1]).all()

    members = st.sampled_from(["X.npy", "y.npy", "c.npy"])
    tried(examples, body, table=TABLES, edits=EDITS, packed=st.booleans(), member=members)


ARRAYS = {
    "text": np.array([["1", "2"]] * 3),
    "bytes": np.array([[b"1", b"2"]] * 3),
    "complex": np.ones((3, 2), dtype=complex),
    "record": np.zeros(3, dtype=[("a", float)]),
    "times": np.ones((3, 2), dtype="datetime64[s]"),
    "spans": np.ones((3, 2), dtype="timedelta64[s]"),
    "objects": np.array([["a", None]] * 3, dtype=object),
    "one axis": np.ones(3),
    "three axes": np.ones((3, 1, 2)),
    "a number": np.float64(3),
    "no rows": np.ones((0, 2)),
    "no features": np.ones((3, 0)),
    "NaN": np.array([[1.0, np.nan]] * 3),
    "other rows": np.ones((4, 2)),
}


@pytest.mark.parametrize(
    ("name", "role"),
    [(name, "X") for name in ARRAYS]
    # Numbers may be written as texts there, and have one axis.
    + [
        (name, role)
        for name in ARRAYS
        if name not in ("text", "bytes", "one axis")
        for role in "yc"
    ],
)
def test_npz_of_wrong_arrays(tmp_path, name, role):
    arrays = {"X": np.eye(3), "y": np.array([1, -1, 1]), "c": np.arange(3)}
    wrong = ARRAYS[name]
    if role != "X" and wrong.ndim == 2 and wrong.shape[1]:
        wrong = wrong[:, -1]
    arrays[role] = wrong
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(ValueError, match=rf"rows\.npz: .*\b{role}\b"):
        lg.datasets.read(tmp_path / "rows.npz", client="c")


# Settings of the shell ------------------------------------------------------------------------

SETTINGS = """# a study
data = "digits"
rounds = 1_000
lr = 0.5

method = "local-gd"
local_steps = "10,20"
classes = '3,8'
intercept = "free"
seed = 7
memory_limit = "500MB"
test = 0.25
"""


@EXAMPLES
def test_settings(tmp_path, examples):
    pytest.importorskip("cyclopts")
    pytest.importorskip("pydantic")
    from localgd.cli.config import read_config
    from localgd.cli.settings import Settings

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    def body(edits, bom, crlf):
        text = SETTINGS.replace("\n", "\r\n" if crlf else "\n").encode()
        data = (b"\xef\xbb\xbf" if bom else b"") + text
        path = tmp_path / "study.toml"
        path.write_bytes(data)
        right = tomllib.loads(SETTINGS)
        assert read_config(str(path)) == right
        broken = edited(data, edits)
        path.write_bytes(broken)
        try:
            found = read_config(str(path))
        except ValueError as error:
            names = [*Settings.model_fields, "unknown setting", "line", "end of document"]
            assert "study.toml" in str(error)
            assert any(name in str(error) for name in names), str(error)
        else:
            assert found == tomllib.loads(broken.decode("utf-8-sig"))
            Settings.from_values(found)

    tried(examples, body, edits=EDITS, bom=st.booleans(), crlf=st.booleans())


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(), PLAIN, max_size=2)


@EXAMPLES
def test_any_value_of_any_setting(examples):
    """It is read, and read again from the file that repeats the run, or refused by its name."""
    pytest.importorskip("cyclopts")
    pytest.importorskip("pydantic")
    from localgd.cli.settings import Settings

    def body(name, value):
        try:
            settings = Settings.from_values({name: value}, "study.toml: ")
        except ValueError as error:
            assert str(error).startswith(f"study.toml: {name}: ")
            return
        kept = getattr(settings, name)
        assert Settings.from_values({name: kept}) == settings

    tried(examples, body, name=st.sampled_from([*Settings.model_fields]), value=VALUES)
