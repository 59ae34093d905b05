"""Pages of docs/ run block by block and print what they say."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
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
