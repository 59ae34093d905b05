"""Readers of checkpoints and of sweep files: the right result, or a ValueError with the place."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
import registry
from hypothesis import given, settings
from hypothesis import strategies as st

import localgd as lg

PROBLEM = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=6, seed=0)
METHOD = lg.LocalSGD(3, lg.Polynomial(0.3, 0.1), batch_size=2, server=lg.ServerSGD(0.5, 0.9))
OPTIONS = {"engine": "primal", "reference": np.ones(6), "measures": {"first": lambda w: w[0]}}
GRID = {"lr": [0.1, 0.2, 0.3], "seed": [0, 1]}

# So many examples every day; `python -m pytest -m slow` tries more.
EVERY_DAY, ON_DEMAND = 150, 5_000


@st.composite
def changes(draw, size: int):
    """What is done to a file: bytes changed, cut out, doubled, put in, or its end cut off."""
    place = draw(st.integers(0, size - 1))
    length = draw(st.integers(1, 200))
    kind = draw(st.sampled_from(["change", "cut", "double", "put", "end", "swap"]))
    return kind, place, length, draw(st.binary(min_size=1, max_size=8))


def changed(content: bytes, change) -> bytes:
    kind, place, length, new = change
    part = content[place : place + length]
    return {
        "change": content[:place] + new + content[place + len(new) :],
        "cut": content[:place] + content[place + length :],
        "double": content[:place] + part + content[place:],
        "put": content[:place] + new + content[place:],
        "end": content[:place],
        "swap": content[place:] + content[:place],
    }[kind]


# Checkpoints ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file, what is in it, and the run that it leads to."""
    file = tmp_path_factory.mktemp("fuzz") / "run.ckpt"
    lg.run(PROBLEM, METHOD, rounds=20, checkpoint=file, **OPTIONS)
    return file, file.read_bytes(), lg.run(PROBLEM, METHOD, rounds=40, **OPTIONS)


def continues_or_is_refused(file, content, whole):
    file.write_bytes(content)
    try:
        run = lg.run(PROBLEM, METHOD, rounds=40, checkpoint=file, **OPTIONS)
    except ValueError as error:
        assert "run.ckpt" in str(error)
        assert file.read_bytes() == content
    else:
        registry.assert_same_bits(run, whole)


def fuzz_checkpoint_bytes(checkpoint, data):
    file, content, whole = checkpoint
    for change in data.draw(st.lists(changes(len(content)), min_size=1, max_size=3)):
        content = changed(content, change)
    continues_or_is_refused(file, content, whole)


# In place of a value of the right kind.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
ARRAYS = st.sampled_from(
    [np.zeros(0), np.zeros((0, 3)), np.zeros(7), np.zeros((2, 2), np.int8), np.array("text")]
)


def fuzz_checkpoint_fields(checkpoint, data):
    """A sound file of other fields, as another program might have written it."""
    file, content, _ = checkpoint
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    meta = json.loads(str(arrays.pop("meta")))
    del meta["arrays"]
    part, kind = data.draw(st.sampled_from([(p, k) for p in ("meta", "arrays") for k in "dwi"]))
    target, value = (meta, ODD) if part == "meta" else (arrays, ARRAYS)
    name = data.draw(st.sampled_from(sorted(target)))
    if part == "meta" and name == "identity" and data.draw(st.booleans()):
        target = meta["identity"]
        name = data.draw(st.sampled_from(sorted(target)))
    old = target.pop(name)
    if kind == "w":
        target[name] = data.draw(value)
    elif kind == "i" and part == "arrays" and old.size:  # of another length
        target[name] = np.concatenate([old, old])
    text = json.dumps({**meta, "arrays": list(arrays)})
    with file.open("wb") as stream:
        np.savez(stream, meta=np.array(text), **arrays)
    harmless = name in ("elapsed", "shortened", "drift", "participations") and kind == "w"
    try:
        run = lg.run(PROBLEM, METHOD, rounds=40, checkpoint=file, **OPTIONS)
    except ValueError as error:
        assert "run.ckpt" in str(error)
    else:  # numbers that a reader cannot know to be wrong, or what is not read
        assert harmless or name in ("history/first", "rates", "used") or old == target.get(name), (
            name
        )
        assert run.status == "completed"


@given(data=st.data())
@settings(max_examples=EVERY_DAY)
@pytest.mark.parametrize("fuzz", [fuzz_checkpoint_bytes, fuzz_checkpoint_fields])
def test_changed_checkpoints(checkpoint, fuzz, data):
    fuzz(checkpoint, data)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=ON_DEMAND)
@pytest.mark.parametrize("fuzz", [fuzz_checkpoint_bytes, fuzz_checkpoint_fields])
def test_many_changed_checkpoints(checkpoint, fuzz, data):
    fuzz(checkpoint, data)


def test_a_header_that_asks_for_less_is_refused(checkpoint):
    """NumPy reads what the header of an array says, which may be too little for the checksum."""
    file, content, whole = checkpoint
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    places = [match.start(1) for match in re.finditer(rb"'shape': \((\d)", content)]
    assert len(places) > 10
    for place in places:
        fewer = content[:place] + b"0" + content[place + 1 :]
        file.write_bytes(fewer)
        if fewer != content:
            with pytest.raises(ValueError, match=r"run\.ckpt: not a checkpoint of localgd, or dam"):
                lg.run(PROBLEM, METHOD, rounds=40, checkpoint=file, **OPTIONS)
    continues_or_is_refused(file, content, whole)


# Sweep files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    file = tmp_path_factory.mktemp("fuzz") / "sweep.jsonl"
    table = lg.sweep(PROBLEM, METHOD, grid=GRID, rounds=10, out=file)
    return file, file.read_bytes(), {entry.key: entry for entry in table}


def assert_same_entry(one, other):
    assert one.__dict__ | {"history": 0} == other.__dict__ | {"history": 0}
    assert list(one.history) == list(other.history)
    for name, column in other.history.items():
        np.testing.assert_array_equal(one.history[name], column, err_msg=name)
        assert one.history[name].dtype == column.dtype


def entries_are_right_or_refused(sweep, content):
    file, _, known = sweep
    file.write_bytes(content)
    try:
        table = lg.load_sweep(file)
    except ValueError as error:
        assert re.search(r"sweep\.jsonl: line \d+ is not of a sweep of localgd", str(error))
        return
    for entry in table:
        assert_same_entry(entry, known[entry.key])


def fuzz_sweep_bytes(sweep, data):
    _, content, _ = sweep
    for change in data.draw(st.lists(changes(len(content)), min_size=1, max_size=3)):
        content = changed(content, change)
    entries_are_right_or_refused(sweep, content)


def fuzz_sweep_fields(sweep, data):
    """A line without a checksum, as an older version might have written it: no other errors."""
    file, content, _ = sweep
    fields = json.loads(content.split(b"\n")[0])
    del fields["checksum"]
    target = data.draw(st.sampled_from([fields, fields["history"]]))
    name = data.draw(st.sampled_from(sorted(target)))
    del target[name]
    if data.draw(st.booleans()):
        deep = st.recursive(ODD, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
        target[name] = data.draw(deep)
    file.write_bytes(json.dumps(fields).encode() + b"\n")
    try:
        table = lg.load_sweep(file)
    except ValueError as error:
        assert "sweep.jsonl: line 1 is not of a sweep of localgd" in str(error)
    else:
        assert len(table.last("loss")) == 1
        assert len({len(column) for column in table.columns.values()}) == 1


@given(data=st.data())
@settings(max_examples=EVERY_DAY)
@pytest.mark.parametrize("fuzz", [fuzz_sweep_bytes, fuzz_sweep_fields])
def test_changed_sweep_files(sweep, fuzz, data):
    fuzz(sweep, data)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=ON_DEMAND)
@pytest.mark.parametrize("fuzz", [fuzz_sweep_bytes, fuzz_sweep_fields])
def test_many_changed_sweep_files(sweep, fuzz, data):
    fuzz(sweep, data)


@pytest.mark.parametrize(
    "line",
    [b"[" * 10**5, b"\xff\xfe{}", b"null", b"3", b"{}", b"", b'{"history": {"loss": [1e999]}}'],
)
def test_lines_of_others(sweep, line):
    entries_are_right_or_refused(sweep, line + b"\n" + sweep[1])
    with pytest.raises(ValueError, match="line 1 is not of a sweep"):
        lg.load_sweep(sweep[0])
