"""``localgd run --evaluate``: a page for readers without Python."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from browsing import browse, needs_browser
from patients import HOSPITALS, patients
from test_reproduce_browser import MEASURE, PHONE

from localgd.cli import evaluating, main
from localgd.cli.evaluation_page.page import MOST_DRAWN, page
from localgd.evaluation import evaluate

PATIENTS = [
    *("--data=patients.csv", "--label=outcome", "--client=hospital", "--positive=yes"),
    *("--categorical=onehot", "--loss=logistic", "--l2=0.001", "--rounds=100", "--no-pooled"),
]
QUIET = {"purpose": "", "warning": "", "about": {}}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(here, monkeypatch):
    """Writes the page of a run with these options; the table behind it, and its text."""

    def write(*words):
        tables = []

        def kept(*arguments, **options):
            tables.append(evaluate(*arguments, **options, bootstrap=50))
            return tables[-1]

        monkeypatch.setattr(evaluating, "evaluate", kept)
        patients(600).to_csv("patients.csv", index=False)
        assert main(["run", *words, "--evaluate=page.html", "--quiet"]) == 0
        return tables[0], (here / "page.html").read_text(encoding="utf-8")

    return write


def plain(html):
    """What a reader sees, without figures."""
    html = re.sub(r"<(style|svg).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_page_says_what_the_table_holds(written):
    found, html = written(*PATIENTS, "--test=0.25")
    text = plain(html)
    assert "450 rows of patients.csv, held by 12 clients, taught the models to tell" in text
    assert "150 rows that no model was trained on" in text
    assert found.columns["n"][0] == 150
    for name in HOSPITALS:
        assert name in text
    for measure in ("auc", "accuracy", "brier", "log_loss", "balanced_accuracy"):
        for value in found.columns[measure]:
            assert f"{value:.3f}" in text or np.isnan(value)
    gain = found.columns["auc"][3:][::3] - found.columns["auc"][3:][2::3]
    gain = gain[~np.isnan(gain)]
    said = re.search(r"better than the own model on (\d+) of (\d+) clients", text)
    assert said
    assert (int(said[1]), int(said[2])) == ((gain > 0).sum(), len(gain))
    assert html.count("<figure>") == 2


def test_a_page_about_training_rows_says_so(written):
    found, html = written(*PATIENTS)
    assert "All numbers below are of the 600 rows that the models were trained on" in plain(html)
    assert found.columns["n"][0] == 600


def test_held_out_rows_of_dealt_data_have_no_clients(written):
    found, html = written("--data=digits", "--l2=0.01", "--rounds=20", "--test=0.2")
    assert found.models == ("federated", "pooled")
    assert "As pictures" in plain(html)


def test_several_classes_and_losses_without_probabilities(written):
    found, html = written("--data=digits", "--classes=0,1,2", "--l2=0.01", "--rounds=20")
    assert np.isnan(found.columns["auc"]).all()
    assert "By balanced accuracy the federated" in plain(html)
    assert "AUC" not in plain(html)
    _, html = written("--data=digits", "--loss=exponential", "--l2=0.01", "--rounds=20")
    assert "AUC" in plain(html)
    assert "Log-loss" not in plain(html)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data=digits"], "evaluate: without l2 the loss of these rows has no minimiser"),
        (
            ["--data=counts.csv", "--task=regression"],
            "evaluate: got 'page.html' for regression; want",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_the_run(here, capsys, words, said):
    (here / "counts.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,1\n")
    assert main(["run", *words, "--evaluate=page.html", "--rounds=10", "--clients=2"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (here / "page.html").exists()
    assert not (here / "localgd-run" / "run.npz").exists()


def test_a_page_that_fails_leaves_the_rest_of_the_run(here, capsys, monkeypatch):
    monkeypatch.setattr(evaluating, "evaluate", lambda *_, **__: int("no page"))
    words = ["--data=digits", "--l2=0.01", "--rounds=10", "--evaluate=page.html"]
    assert main(["run", *words]) == 2
    said = capsys.readouterr()
    assert "the rest goes on" in said.err
    assert "none: it could not be written" in said.out
    assert (here / "localgd-run" / "run.npz").exists()


def test_a_missing_package_is_said_before_the_run(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["run", "--data=digits", "--l2=0.01", "--evaluate=page.html"]) == 2
    assert "--evaluate needs matplotlib: pip install" in capsys.readouterr().err
    assert not (here / "localgd-run" / "run.npz").exists()


def many_clients(names):
    rng = np.random.default_rng(0)
    n = 8 * len(names)
    X, y = rng.standard_normal((n, 3)), rng.integers(0, 2, n)
    problem = lg.Problem.from_arrays(X, y, [names[k % len(names)] for k in range(n)])
    run = lg.run(problem, lg.GD("1/H"), rounds=5, loss="logistic", l2=0.1)
    return lg.evaluate(run, problem, bootstrap=20)


def test_whatever_is_put_in_is_escaped():
    found = many_clients(["<script>", "b&c"])
    html = page(found, held_out=True, purpose="<p>", warning="<x>", about={"<y>": "<z>"})
    for bad in ("<script>", "<x>", "<y>", "<z>", "b&c"):
        assert bad not in html


def test_of_many_clients_the_largest_are_drawn_and_all_are_listed():
    names = [f"client {k:03d}" for k in range(MOST_DRAWN + 5)]
    html = page(many_clients(names), held_out=True, **QUIET)
    assert f"Of {len(names)} clients the {MOST_DRAWN} with the most rows are drawn." in plain(html)
    assert all(name in html for name in names)


def test_a_run_that_was_not_completed_says_so():
    html = page(many_clients(["a", "b"]), held_out=True, **{**QUIET, "warning": "diverged in 3"})
    assert "diverged in 3" in plain(html)


@needs_browser
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_the_page_is_no_wider_than_the_window(tmp_path, width):
    (tmp_path / "report.html").write_text(
        page(
            many_clients(["a", "b", "a rather long name of a client " * 3]), held_out=False, **QUIET
        ),
        encoding="utf-8",
    )
    outer = tmp_path / "outer.html"
    outer.write_text(MEASURE % (width, (tmp_path / "report.html").as_uri()))
    dom, console = browse(outer, tmp_path, "--dump-dom", "--window-size=1400,1000")
    assert console == []
    found = json.loads(re.search(r"<pre>(.*?)</pre>", dom)[1])
    assert found["page"] == found["window"]
    assert len(found["figures"]) == 2
    assert all(0 < figure <= width for figure in found["figures"])
    assert found["sections"] == ["all", "pictures", "words", "about"]
