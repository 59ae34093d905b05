"""A bar on a terminal, silence in a pipe, rounds for a callable."""

import io
import sys

import pytest

import localgd as lg

SCRIPT = """
import localgd as lg
problem = lg.datasets.make_separable(n_clients=4, n_samples=20, n_features=30, seed=0)
run = lg.run(problem, lg.LocalGD(local_steps=200, lr=0.01), rounds=2000, progress=True)
print(run.status)
"""


def test_nothing_is_printed_into_a_pipe(run_python):
    done = run_python(SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "completed\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bar_on_a_terminal(run_python):
    pytest.importorskip("rich")
    # The script's standard error becomes a terminal whose other end it reads itself.
    before = """
import os, pty, sys, threading
master, slave = pty.openpty()
os.dup2(slave, 2)
shown = []
def read():
    while not shown or b"END" not in shown[-1]:
        shown.append(os.read(master, 1000))
reader = threading.Thread(target=read)
reader.start()
"""
    after = """
os.write(2, b"END")
reader.join()
print(b"".join(shown).decode())
"""
    done = run_python(before + SCRIPT + after, TERM="xterm", COLUMNS="100")
    shown = done.stdout
    assert "completed" in shown
    assert "/2,000 rounds" in shown
    assert "rounds/s" in shown


def test_callable_is_given_rounds_that_increase(small_problem):
    seen = []

    def progress(round):
        seen.append(round)
        if len(seen) == 5:
            raise KeyboardInterrupt

    run = lg.run(small_problem, lg.LocalGD(local_steps=20, lr=0.1), rounds=10**9, progress=progress)
    assert all(isinstance(round, int) for round in seen)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] == run.round


def test_rich_is_only_needed_for_a_bar(run_python):
    script = "import sys; sys.modules['rich'] = None\n" + SCRIPT
    done = run_python(script)
    assert (done.returncode, done.stderr) == (0, "")


def test_missing_rich_is_named(monkeypatch, small_problem):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    with pytest.raises(lg.MissingExtraError, match=r"a progress bar needs rich: .*localgd\[cli\]"):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=5, progress=True)


@pytest.mark.parametrize("progress", [1, "yes", None])
def test_other_kinds_are_refused(small_problem, progress):
    with pytest.raises(TypeError, match=r"progress: got .*; want True, False or a callable"):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=5, progress=progress)


def test_import_loads_neither_scipy_nor_the_extras(run_python):
    done = run_python(
        "import sys, localgd\n"
        "heavy = {'scipy', 'matplotlib', 'pandas', 'sklearn', 'rich', 'mlxtend'}\n"
        "heavy |= {'cyclopts', 'pydantic', 'tomli_w'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert done.stdout == "[]\n"


class Closed(io.StringIO):
    def isatty(self):
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stderr", [None, Closed(), object()], ids=["none", "closed", "object"])
def test_without_a_standard_error_nothing_is_shown(monkeypatch, small_problem, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    assert lg.run(small_problem, lg.GD(lr=0.1), rounds=5, progress=True).status == "completed"
    table = lg.sweep(small_problem, lg.GD(lr=0.1), rounds=5, progress=True)
    assert len(table) == 1
    far = lg.fast_forward(small_problem, lg.GD(lr=0.1), rounds=1e10, progress=True)
    assert far.status == "completed"


def test_a_terminal_that_goes_away_does_not_cost_the_run(monkeypatch, small_problem):
    pytest.importorskip("rich")

    class Gone(io.StringIO):
        def isatty(self):
            return True

        def write(self, text):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setenv("TERM", "xterm")
    method = lg.LocalGD(local_steps=200, lr=0.01)
    assert lg.run(small_problem, method, rounds=2000, progress=True).round == 2000
