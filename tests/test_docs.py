"""Pages of docs/ run block by block and print what they say; the files that they name are there."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n+(?:```text\n(.*?)```\n)?", re.DOTALL)


@pytest.mark.parametrize("page", ["long_horizons.md"])
def test_page_prints_what_it_says(page, monkeypatch, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    if not DOCS.is_dir():
        pytest.skip("the pages are in a checkout only")
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names: dict = {}
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(blocks) > 3
    for code, said in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue() == said, code
    plt.close("all")
    assert {file.name for file in tmp_path.iterdir()} == {"long_horizons.png"}


def named_files(page: str) -> set[str]:
    """What looks like a file or a folder in code spans, braces written out."""
    text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    found = set()
    for span in re.findall(r"`([^`\s]+)`", text):
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
    return any(any(f.rglob(name)) for f in folders)


@pytest.mark.parametrize("page", ["docs/architecture.md", "bench/README.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(page):
    if not (ROOT / page).is_file():
        pytest.skip("the pages are in a checkout only")
    found = named_files((ROOT / page).read_text(encoding="utf-8"))
    assert found
    assert [name for name in sorted(found) if not is_there(name)] == []
