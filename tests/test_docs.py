"""Pages are what they say: their Python runs, their links lead somewhere, their files are there."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from importlib.util import find_spec

import pytest

pytest.importorskip("markdown_it")

from formatting import ROOT, is_checkout
from pages import Page, pages

pytestmark = pytest.mark.skipif(not is_checkout(), reason="needs a checkout")

DOCS = ROOT / "docs"

# Files that the Python of a page writes.
WRITTEN = {
    "README.md": {"convergence.png"},
    "docs/howto/data.md": {"rows.csv"},
    "docs/howto/recording.md": {"run.npz", "state.npz"},
    "docs/own_parts.md": {"averaging.npz"},
    "docs/long_horizons.md": {"long_horizons.png"},
    "docs/tutorials/benchmark.md": {"benchmark.png"},
    "docs/tutorials/cluster.md": {"runs.jsonl", "runs-0.jsonl", "runs-1.jsonl", "runs.sqlite"},
}
SHOWS_NO_OUTPUT = {"README.md"}
MORE = {"docs/own_parts.md": ("numba",)}  # what its page wants beside that


def pages_with_python() -> list[str]:
    if not is_checkout():
        return []
    return [page.name for page in pages() if page.blocks("python")]


def test_pages_that_write_files_have_python():
    assert len(pages_with_python()) > 15
    assert set(WRITTEN) <= set(pages_with_python())


@pytest.mark.parametrize("name", pages_with_python())
def test_page_prints_what_it_says(name, monkeypatch, tmp_path):
    for extra in ("sklearn", "mlxtend", "matplotlib", *MORE.get(name, ())):
        pytest.importorskip(extra)
    import matplotlib

    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    names: dict = {}
    written = WRITTEN.get(name, set())
    for code, said in Page(ROOT / name).programs:
        missing = [m for m in OPTIONAL if f"from {m} import" in code and find_spec(m) is None]
        if missing:
            written = written - OPTIONAL[missing[0]]
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, name, "exec"), names)
        assert printed.getvalue() == said or name in SHOWS_NO_OUTPUT, code
    assert {file.name for file in tmp_path.iterdir()} == written


# Modules without which single blocks do not run, and the files that these write.
OPTIONAL = {"distributed": {"runs.sqlite"}}


ROWS = "dose,size,site,outcome\n" + "0.9,0.5,east,ill\n0.4,1.0,west,well\n0.8,0.6,west,ill\n" * 2


PATIENTS = "age,smokes,hospital,outcome\n" + "71,daily,east,ill\n54,never,west,well\n" * 4
PATIENTS += ",once,east,well\n66,,west,ill\n" * 4


def quick_commands() -> list[list[str]]:
    """Those of the pages that run on small rows, or none."""
    if not is_checkout():
        return []
    found = [c for page in pages() if page.path.is_relative_to(DOCS) for c in page.commands]
    small = {"digits", "rows.csv", "patients.csv", "info"}
    return [c for c in found if c[0] == "localgd" and "reproduce" not in c and small & {*c}]


@pytest.mark.parametrize("command", quick_commands(), ids=" ".join)
def test_quick_command_runs(command, monkeypatch, tmp_path):
    from localgd.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    assert main(command[1:]) == 0


def test_there_are_quick_commands():
    assert len(quick_commands()) >= 4


def test_settings_on_the_page_of_the_shell(monkeypatch, tmp_path):
    from localgd.cli import main

    monkeypatch.chdir(tmp_path)
    (settings,) = Page(DOCS / "shell.md").blocks("toml")
    (tmp_path / "run.toml").write_text(settings, encoding="utf-8")
    assert main(["run", "--config", "run.toml", "--rounds", "10"]) == 0


def test_study_on_the_page_of_the_benchmark(monkeypatch, tmp_path):
    from localgd.cli import main

    monkeypatch.chdir(tmp_path)
    (study,) = Page(DOCS / "tutorials" / "benchmark.md").blocks("toml")
    (tmp_path / "study.toml").write_text(study.replace("= 1000", "= 10"), encoding="utf-8")
    assert main(["sweep", "study.toml", "--out", "study", "--quiet"]) == 0
    assert main(["rerun", "study", "--check"]) == 0
    import localgd as lg

    assert len(lg.load_sweep("study")) == 25


def dead_links(page: Page) -> list[str]:
    dead = []
    for link in page.links:
        path, _, anchor = link.partition("#")
        target = page.path.parent / path if path else page.path
        if re.match(r"[a-z]+:", link):  # on the web
            continue
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            dead.append(f"{page.name}: {link}")
    return dead


def test_links_between_pages_lead_somewhere():
    assert sum(len(page.links) for page in pages()) > 10
    assert [link for page in pages() for link in dead_links(page)] == []


def named_files(page: Page) -> set[str]:
    """What looks like a file or a folder in code spans, braces written out."""
    found = set()
    for span in page.code_spans:
        begin, brace, rest = span.partition("{")
        names, _, end = rest.partition("}")
        spans = [begin + name + end for name in names.split(",")] if brace else [span]
        found |= {name for name in spans if re.search(r"^[\w./*-]+(/|\.(py|hpp|cpp|md))$", name)}
    return found


def is_there(name: str) -> bool:
    """Below the folders that paths begin at; a name without a path anywhere below them."""
    folders = [ROOT / folder for folder in ("cpp/core", "cpp/tests", "python/localgd", "tests")]
    if "/" in name:
        return any(any(f.glob(name.rstrip("/"))) for f in (ROOT, ROOT / "bench", *folders))
    return (ROOT / name).exists() or any(any(f.rglob(name)) for f in folders)


@pytest.mark.parametrize("name", ["docs/architecture.md", "bench/README.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(name):
    found = named_files(Page(ROOT / name))
    assert found
    assert [file for file in sorted(found) if not is_there(file)] == []
