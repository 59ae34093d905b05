"""The report in a real browser: every experiment is there, no error, nothing wider than a phone.

``LOCALGD_REPORT=folder`` looks at a report that is there already; else a short one is made.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from browsing import browse, needs_browser

from localgd.reproducing import Context, carry_out, find
from localgd.reproducing.report import Report

pytestmark = needs_browser
PHONE = 390  # CSS pixels
# A page around the report, which is itself without scripts: measures it and writes what it finds.
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body>
<iframe id="frame" style="width:%dpx;height:900px;border:0" src="%s"></iframe><script>
document.getElementById("frame").onload = function () {
  var page = this.contentDocument, width = e => e.getBoundingClientRect().width;
  var found = {
    window: page.documentElement.clientWidth, page: page.documentElement.scrollWidth,
    figures: [...page.querySelectorAll("figure svg")].map(width),
    sections: [...page.querySelectorAll("section")].map(s => s.id),
    paths: [...page.querySelectorAll("figure svg")].map(s => s.querySelectorAll("path").length),
    bars: [...page.querySelectorAll(".scroll, pre")].filter(e => e.scrollWidth > e.clientWidth)
      .map(e => e.offsetHeight - e.clientHeight),
    background: getComputedStyle(page.querySelector("figure svg") || page.body).backgroundColor,
  };
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
};
</script></body>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The folder of a report."""
    given = os.environ.get("LOCALGD_REPORT")
    if given:
        return Path(given).absolute()
    folder = tmp_path_factory.mktemp("report")
    context = Context(quick=True)
    made = Report(folder, context, {"command": "localgd reproduce"})
    for experiment in find(["E8"]):
        made.add(carry_out(experiment, context))
    return folder


def test_browser_finds_every_experiment_and_no_error(report, tmp_path):
    found, console = browse(report / "index.html", tmp_path, "--dump-dom")
    assert console == []
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    names = [one["id"] for one in summary["experiments"]]
    assert names
    assert re.findall(r'<section id="(E\d+)"', found) == names
    for one in summary["experiments"]:
        assert found.count(f'href="#{one["id"]}"') == 1
    assert found.count("<svg") == len(list((report / "figures").glob("*.svg")))


def test_console_errors_would_be_seen(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<img src='nowhere.png'><script>no_such_function()</script>")
    _, console = browse(page, tmp_path, "--dump-dom")
    assert any("no_such_function" in line for line in console)


@pytest.mark.parametrize("dark", [False, True])
def test_report_fits_a_phone(report, tmp_path, dark):
    outer = tmp_path / "outer.html"
    outer.write_text(MEASURE % (PHONE, (report / "index.html").as_uri()))
    more = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    found, console = browse(outer, tmp_path, "--dump-dom", "--window-size=800,1000", *more)
    assert console == []
    sizes = json.loads(re.search(r"<pre>(.*?)</pre>", found)[1])
    assert sizes["page"] == sizes["window"]  # no sideways scrolling, but within tables
    assert sizes["figures"]
    assert min(sizes["figures"]) > 0.85 * PHONE
    assert min(sizes["paths"]) > 10
    assert sizes["sections"][-1] == "about"
    assert sizes["bars"]  # what is wider than a phone
    assert min(sizes["bars"]) > 0  # shows that it scrolls
    assert sizes["background"] == "rgb(255, 255, 255)"


def test_report_prints_without_a_page_for_each_part(report, tmp_path):
    pdf = tmp_path / "report.pdf"
    browse(report / "index.html", tmp_path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
    assert pages >= 2
    # Nothing forces a new page, which left the one before it half empty.
    assert "break-before" not in (report / "index.html").read_text(encoding="utf-8")
