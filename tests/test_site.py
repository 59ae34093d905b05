"""The site of docs/: every public name is on it; in a browser no page is wider than a phone.

``LOCALGD_SITE=folder`` says where it was built, by the line of the README; only what needs no site
is tested without it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browse, needs_browser
from formatting import ROOT, is_checkout

import localgd as lg

SITE = os.environ.get("LOCALGD_SITE", "")
needs_site = pytest.mark.skipif(not SITE, reason="LOCALGD_SITE says where the site was built")
MODULES = ("analysis", "datasets", "loggers", "networks", "plot", "reference", "sklearn")

# A page that looks at all pages of the site in a frame of that width, one after the other.
LOOK = """<!DOCTYPE html><meta charset="utf-8"><body>
<iframe id="frame" style="width:%dpx;height:900px;border:0"></iframe><script>
var pages = %s, found = [], frame = document.getElementById("frame");
frame.onload = function () {
  var root = this.contentDocument.documentElement;
  found.push([root.clientWidth, root.scrollWidth, root.querySelectorAll("h1").length]);
  if (found.length < pages.length) frame.src = pages[found.length];
  else document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
};
frame.src = pages[0];
</script></body>"""


def documented() -> dict[str, Any]:
    """The objects that the pages of the API list, by the names there."""
    found = {}
    for page in (ROOT / "docs" / "api").glob("*.md"):
        module = "localgd"
        for line in page.read_text("utf-8").splitlines():
            if line.startswith(".. currentmodule::"):
                module = line.split()[-1]
            elif re.fullmatch(r"   [\w.]+", line):
                *path, name = f"{module}.{line.strip()}".split(".")
                found[f"{'.'.join(path)}.{name}"] = getattr(
                    importlib.import_module(".".join(path)), name
                )
    return found


def public() -> Iterator[tuple[str, Any]]:
    for name in lg.__all__:
        yield f"localgd.{name}", getattr(lg, name)
    for module in MODULES:
        for name in getattr(lg, module).__all__:
            yield f"localgd.{module}.{name}", getattr(getattr(lg, module), name)


@pytest.mark.skipif(not is_checkout(), reason="needs a checkout")
def test_every_public_name_is_on_a_page_of_the_api():
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    there = list(documented().values())
    assert len(there) > 80
    missing = [
        name
        for name, value in public()
        if not inspect.ismodule(value) and not any(value is known for known in there)
    ]
    assert missing == []


def html() -> list[Path]:
    """The pages but those of a search, an index, and files of the theme."""
    left_out = {"search.html", "genindex.html", "py-modindex.html"}
    found = sorted(Path(SITE).absolute().rglob("*.html"))
    return [page for page in found if page.name not in left_out and "_static" not in page.parts]


@needs_site
def test_site_has_a_page_for_every_listed_name():
    for name in documented():
        assert (Path(SITE) / "api" / "generated" / f"{name}.html").is_file(), name


@needs_site
def test_site_needs_no_network():
    taken = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="https?:|<link[^>]*\shref="https?:')
    assert html()
    assert [page.name for page in html() if taken.search(page.read_text("utf-8"))] == []


@needs_site
@needs_browser
@pytest.mark.parametrize("width", [390, 1280])  # CSS pixels
def test_no_page_scrolls_sideways(tmp_path, width):
    pages = html()
    outer = tmp_path / "outer.html"
    outer.write_text(LOOK % (width, json.dumps([page.as_uri() for page in pages])))
    found, console = browse(
        outer, tmp_path, "--dump-dom", "--window-size=1400,1000", "--virtual-time-budget=600000"
    )
    assert [line for line in console if "[PST]" not in line] == []  # of the theme
    sizes = json.loads(re.search(r"<pre>(.*?)</pre>", found)[1])
    assert len(sizes) == len(pages) > 100
    assert [page.name for page, size in zip(pages, sizes, strict=True) if size[2] != 1] == []
    wide = {page.name: size for page, size in zip(pages, sizes, strict=True) if size[1] > size[0]}
    assert wide == {}
