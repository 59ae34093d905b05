"""Files appear whole or not at all, whatever their name and place; streams may close."""

import contextlib
import io
import os
import sys
import time

import pytest

import localgd as lg
from localgd.writing import Stream, replaced, write_text

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX")


@pytest.fixture(scope="module")
def run():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    return lg.run(problem, lg.GD(lr=1.0), rounds=5)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@posix
@pytest.mark.parametrize("letters", ["m" * 251, "é" * 125])
def test_the_longest_names_that_the_system_takes(run, small_problem, tmp_path, letters):
    path = tmp_path / f"{letters}.npz"
    run.save(path)
    assert lg.load(path).round == 5
    path.unlink()
    for rounds in (5, 9):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=rounds, checkpoint=path)
    assert names(tmp_path) == [path.name]


@posix
def test_a_name_that_is_too_long_is_refused_before_the_run(small_problem, tmp_path):
    def lr(k):
        raise AssertionError("the run has begun")

    with pytest.raises(OSError, match="File name too long"):
        lg.run(small_problem, lg.GD(lr=lr), rounds=5, checkpoint=tmp_path / ("m" * 256))
    assert names(tmp_path) == []


@posix
def test_a_link_stays_and_what_it_points_to_is_replaced(run, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    (here / "a.npz").symlink_to("../there/b.npz")  # which comes with the first of these
    (here / "chain.npz").symlink_to("a.npz")
    for name in ("a", "chain"):
        run.save(here / f"{name}.npz")
        assert (here / "a.npz").is_symlink()
        assert lg.load(there / "b.npz").round == 5
        assert names(there) == ["b.npz"]
        (there / "b.npz").write_text("old")
    run.save(here / "a.npz")
    assert lg.load(there / "b.npz").round == 5


@posix
def test_links_to_checkpoints_and_sweeps(small_problem, tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("c", "s"):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
    for rounds in (5, 9):
        run = lg.run(small_problem, lg.GD(lr=0.1), rounds=rounds, checkpoint=tmp_path / "c")
        lg.sweep(small_problem, lg.GD(lr=0.1), rounds=rounds, out=tmp_path / "s")
    assert run.round == 9
    assert len(lg.load_sweep(tmp_path / "s")) == 2
    assert names(tmp_path / "there") == ["c", "s"]
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere" / "c")
    with pytest.raises(ValueError, match=r"checkpoint: there is no folder .*nowhere"):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=5, checkpoint=tmp_path / "lost")
    with pytest.raises(ValueError, match=r"out: there is no folder .*nowhere"):
        lg.sweep(small_problem, lg.GD(lr=0.1), rounds=5, out=tmp_path / "lost")


def test_what_fails_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(LookupError), replaced(path) as file:
        file.write(b"half of")
        raise LookupError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_what_killed_processes_left_is_cleared_away(tmp_path):
    path = tmp_path / "a"

    def leave(name, age):
        with contextlib.suppress(KeyboardInterrupt), replaced(tmp_path / name):
            left = max(tmp_path.glob(".*.tmp"), key=lambda path: path.stat().st_mtime_ns)
            kept = left.with_name(left.name.replace("-", "-0"))
            kept.write_text("half of")
            os.utime(kept, (time.time() - age,) * 2)
            raise KeyboardInterrupt
        return kept

    old, young, other = leave("a", 7200), leave("a", 10), leave("b", 7200)
    write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, young, other])
    assert not old.exists()


@posix
def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="not a regular file") as raised:
        write_text(tmp_path / "pipe", "x")
    assert raised.value.filename == str(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a folder"):
        write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["folder", "pipe"]


def test_errors_name_the_file_that_was_asked_for(run, tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        run.save(tmp_path / "nowhere" / "run.npz")
    assert raised.value.filename == str(tmp_path / "nowhere" / "run.npz")


@posix
def test_rights_are_those_of_any_new_file(run, tmp_path):
    (tmp_path / "other").touch()
    path = run.save(tmp_path / "run")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_fails_is_silent_from_then_on(monkeypatch, closed):
    class Full(io.StringIO):
        def write(self, text):
            tried.append(text)
            raise BrokenPipeError if closed else OSError(28, "No space left on device")

    tried, lost = [], []
    monkeypatch.setattr(sys, "stdout", Full())
    stream = Stream("stdout", lost.append)
    assert [stream.write("one"), stream.write("three")] == [3, 5]
    stream.flush()
    assert tried == ["one"]
    assert len(lost) == (not closed)  # a reader that has had enough is no error


def test_a_stream_that_is_not_there(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    stream = Stream("stderr")
    assert stream.write("text") == 4
    stream.flush()
    assert not hasattr(stream, "isatty")
