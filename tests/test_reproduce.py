"""Experiments and their report: verdicts, failures, interruption, the same bytes twice."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

from localgd import reproducing
from localgd.cli import main
from localgd.reproducing import (
    Condition,
    Context,
    Experiment,
    Measured,
    OwnRows,
    all_experiments,
    carry_out,
    figures,
    find,
    registry,
    words,
)
from localgd.reproducing.intervals import Estimate, at_least
from localgd.reproducing.report import Report, html
from localgd.reproducing.report.text import rich
from localgd.reproducing.rows import on_clients, separable
from localgd.reproducing.running import FAILED

ALL = all_experiments()
IDS = [experiment.id for experiment in ALL]
SMALL = lg.datasets.make_separable(n_clients=2, n_samples=3, n_features=10, seed=0)


TOY = """
id = "E90"
title = "A toy"
question = "Is 1 < 2 & 3?"
sources = ["local_gd"]
tasks = ["binary"]
limits = ['''A toy.
  No more.''']
code = "print(1 < 2)"

[[claims]]
title = "Limit"
words = "w_k goes to 10^-3."
finding = "It is {value:g}."
on_real = "{real}: {value:.1f}."

[[claims.conditions]]
words = "below 1"
number = "value"
comparison = "<"
limit = 1.0
when = "beforehand"
unit = "°"

[[claims.conditions]]
words = "below 0.5"
number = "value"
comparison = "<"
limit = 0.5
when = "after a failure"
first = "below 0.05"
otherwise = "It is near to 1."

[[claims]]
title = "Sign"
words = "It is positive."
finding = "It is {value:+g}."

[[claims.conditions]]
words = "above 0"
number = "value"
comparison = ">"
limit = 0.0
when = "after a pilot"

[setting]
rounds = "{rounds}"

[pictures]
line = "A line & its {part}."

[tables.values]
caption = "Values of {name}"
columns = [["round", "{round}"], ["value", "{value:.1e}"]]
"""


@dataclasses.dataclass(frozen=True)
class Toy(Experiment):
    """Ends at ``value``, which should be below 1 and better below 0.5."""

    value: object = 0.1
    error: BaseException | None = None

    words = words.parse(TOY, "toy.toml", part="end")

    def parameters(self, context):
        return {"rounds": context.pick("10", "10^6")}

    def measure(self, context):
        context.status("measuring")
        if self.error is not None:
            raise self.error
        k = np.arange(1, 5)
        return Measured(
            numbers={"value": self.value},
            series={"line": {"round": k, "value": 0.1 / k}},
            tables=[self.table("values", [{"round": 1, "value": self.value}], name="a toy")],
            real="digits",
            own_rows="used: they are the real rows" if context.own else "",
        )

    def draw(self, measured):
        ax = figures.panel(x="Rounds", y="Value")
        ax.plot(measured.series["line"]["round"], measured.series["line"]["value"], label="a")
        return {"line": ax}


def toy(name, tasks=("binary",), **fields):
    """A toy of another id."""
    said = dataclasses.replace(Toy.words, id=name, tasks=tasks)
    return type("Other", (Toy,), {"words": said})(**fields)


@pytest.fixture
def toys(monkeypatch):
    """Puts experiments in the place of the real ones."""

    def place(*found):
        monkeypatch.setattr("localgd.cli.reproduce.find", lambda ids: list(found))

    return place


class Page(HTMLParser):
    """Ids, and all that a browser would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.fetched, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        self.fetched += [given[key] for key in ("src", "srcset", "data", "poster") if key in given]
        if tag == "link":
            self.fetched.append(given["href"])


def test_experiments_come_in_order():
    numbers = [int(name.removeprefix("E")) for name in IDS]
    assert numbers == sorted(set(numbers))
    assert {1, 3, 8} <= set(numbers)


def test_an_experiment_that_is_not_written_yet_breaks_nothing(monkeypatch):
    monkeypatch.setattr(registry, "MODULES", ("e00_nothing", *registry.MODULES))
    assert [experiment.id for experiment in all_experiments()] == IDS


def test_every_file_of_experiments_is_registered():
    folder = Path(reproducing.__file__).parent / "experiments"
    written = {path.stem for path in folder.glob("e[0-9]*.py")}
    assert written <= set(registry.MODULES)
    assert len(written) == len(ALL)


def test_unknown_ids_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=rf"experiment: got E0, E99; want some of {IDS[0]}, "):
        find(["E99", "e0", "E1"])


@pytest.mark.parametrize("experiment", ALL, ids=IDS)
def test_words_of_an_experiment(experiment):
    said = experiment.words
    assert said.question.endswith("?")
    for text in (*(claim.words for claim in said.claims), *said.limits):
        assert text.endswith((".", "?")), text
    titles = [claim.title for claim in said.claims]
    assert len(set(titles)) == len(titles)
    assert said.sources
    assert all(claim.conditions for claim in said.claims)
    for claim in said.claims:
        assert "{" in claim.finding + claim.on_real  # what was found is measured
        assert claim.on_real.startswith("{real}") or not claim.on_real
    quick = experiment.setting(Context(quick=True))
    assert quick.keys() == experiment.setting(Context()).keys()


@pytest.mark.parametrize("experiment", ALL, ids=IDS)
def test_an_experiment_uses_the_public_interface_only(experiment):
    shared = {path.stem for path in Path(reproducing.__file__).parent.glob("*.py")}
    helpers = {(2, name) for name in (None, *shared)}
    allowed = {"numpy", "scipy", "matplotlib", *sys.stdlib_module_names}
    source = Path(sys.modules[type(experiment).__module__].__file__)
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert (node.level, node.module) in helpers, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert node.module.split(".")[0] in allowed, ast.unparse(node)
        elif isinstance(node, ast.Attribute):
            assert not re.match(r"_[a-z]", node.attr) or ast.unparse(node.value) == "self", (
                ast.unparse(node)
            )


@pytest.mark.parametrize("experiment", ALL, ids=IDS)
def test_python_lines_run_as_shown(experiment):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(experiment.words.code, experiment.id, "exec"), {})
    assert printed.getvalue().strip()


@pytest.mark.parametrize("experiment", ALL, ids=IDS)
def test_captions_name_nothing_that_is_measured(experiment):
    """No result stands in the words: they have no other numbers than those of the constants."""
    for caption in experiment.words.pictures.values():
        caption.format_map(experiment.words.constants)


@pytest.mark.parametrize(
    ("value", "answer", "reason"),
    [
        (0.1, "holds", "All 2 conditions are met."),
        (0.7, "holds with a caveat", "It is near to 1. (Measured: 0.7.)"),
        (2.0, "does not hold", "Not met: below 1 (measured: 2°)."),
        (
            Estimate(0.8, 0.3, 1.3),
            "inconclusive",
            "The interval holds both answers: below 1 (measured: 0.8 ± 0.5°).",
        ),
        (
            Estimate(0.6, 0.4, 0.9),
            "holds with a caveat",
            "It is near to 1. (Measured: 0.6 (0.4 to 0.9).)",
        ),
        (Estimate(0.2, 0.1, 0.3), "holds", "All 2 conditions are met."),
        (at_least(1.5), "does not hold", "Not met: below 1 (measured: at least 1.5°)."),
        (
            at_least(0.5),
            "inconclusive",
            "The interval holds both answers: below 1 (measured: at least 0.5°).",
        ),
        (
            Estimate(math.nan, math.nan, math.nan),
            "does not hold",
            "Not met: below 1 (measured: nan°).",
        ),
        (float("nan"), "does not hold", "Not met: below 1 (measured: nan°)."),
        (None, "does not hold", "Not met: below 1 (measured: not measured)."),
    ],
)
def test_verdict_is_computed_from_the_numbers(value, answer, reason):
    verdict = Toy().judge({"value": value})["Limit"]
    assert (verdict.answer, verdict.reason) == (answer, reason)


BEYOND = {"<": 1.0, "<=": 1.0, ">": -1.0, ">=": -1.0, "==": 1.0}  # towards what is not met


@pytest.mark.parametrize("experiment", ALL, ids=IDS)
def test_every_condition_turns_the_verdict_on_its_claim_alone(experiment):
    good = {}
    for c in experiment.criterion:
        value = c.limit - (0.0 if c.comparison == "==" else BEYOND[c.comparison])
        strictest = max if BEYOND[c.comparison] < 0 else min
        good[c.number] = strictest(value, good.get(c.number, value))
    assert {v.answer for v in experiment.judge(good).values()} == {"holds"}
    for claim in experiment.words.claims:
        for c in claim.conditions:
            bad = {**good, c.number: c.limit + BEYOND[c.comparison]}
            answers = {title: v.answer for title, v in experiment.judge(bad).items()}
            assert answers.pop(claim.title) in ("does not hold", "holds with a caveat")
            others = {
                other.title
                for other in experiment.words.claims
                if c.number not in {o.number for o in other.conditions}
            }
            assert {answers[title] for title in others} <= {"holds"}


def test_every_claim_has_a_verdict_of_its_own():
    verdicts = Toy().judge({"value": -1.0})
    assert {title: v.answer for title, v in verdicts.items()} == {
        "Limit": "holds",
        "Sign": "does not hold",
    }


@pytest.mark.parametrize(
    ("when", "first", "message"),
    [
        ("later", "", "when: got 'later'; want one of beforehand, after a pilot, after a failure"),
        ("after a failure", "", "first: got '' of a limit that was set after a failure"),
        ("beforehand", "below 2", "first: got 'below 2' of a limit that was set beforehand"),
    ],
)
def test_when_a_limit_was_set_is_told(when, first, message):
    with pytest.raises(ValueError, match=message):
        Condition("below 1", "value", "<", 1, when, first)


def test_a_comparison_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="comparison: got '!='; want one of <, <=, >, >=, =="):
        Condition("other than 1", "value", "!=", 1, "beforehand")


def test_series_of_unequal_columns_are_refused():
    with pytest.raises(ValueError, match=r"columns of 'line' have lengths \{'a': 2, 'b': 1\}"):
        Measured(numbers={}, series={"line": {"a": [1, 2], "b": [1]}})


def test_a_failing_experiment_is_an_outcome():
    outcome = carry_out(Toy(error=RuntimeError("no\nluck")), Context())
    assert outcome.lines == [("", FAILED, "RuntimeError: no luck")]
    assert "in measure" in outcome.trace


def test_an_experiment_has_one_blas_thread():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def threads():
        return {
            p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"
        }

    class Counting(Toy):
        def measure(self, context):
            seen.append(threads())
            return super().measure(context)

    seen = []
    with threadpoolctl.threadpool_limits(2, "blas"):
        assert not carry_out(Counting(), Context()).failed
        seen.append(threads())
    assert seen == [{1}, {2}]


def test_few_rows_take_one_thread_unless_more_are_asked_for():
    many = SimpleNamespace(n_samples=10**4, n_features=10**3)
    assert Context().threads_for(SMALL) == 1
    assert Context(threads=3).threads_for(SMALL) == 3
    assert Context().threads_for(many) is None


@pytest.mark.parametrize("far", [False, True])
def test_an_interrupted_run_ends_the_experiment(far):
    def interrupt(_):
        raise KeyboardInterrupt

    context = Context()
    run = context.fast_forward if far else context.run
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, lg.LocalGD(local_steps=10, lr=1.0), rounds=10**6, progress=interrupt)


def test_the_report_is_self_contained(tmp_path):
    context = Context(quick=True)
    report = Report(tmp_path, context, {"command": "localgd <reproduce>"}, ["E90", "E91"])
    report.add(carry_out(Toy(), context))
    page = report.index.read_text(encoding="utf-8")
    assert "Not finished: E91." in page
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert "E90" in found.ids
    assert found.fetched == ["data:,"]
    assert not {"script", "img", "iframe", "object"} & set(found.tags)
    assert not re.search(r"@import|url\((?!#)|http-equiv", page)
    assert "Is 1 &lt; 2 &amp; 3?" in page
    assert "localgd &lt;reproduce&gt;" in page
    assert page.count("<svg") == 1
    for used in re.findall(r'url\(#([^)]+)\)|href="#(E90_line[^"]*)"', page):
        assert "".join(used) in found.ids


HOSTILE = """<script>alert("1")</script> & '<b>'"""


def texts(page):
    """What a browser shows of a page, in one line."""

    class Texts(HTMLParser):
        def __init__(self):
            super().__init__()
            self.shown = []

        def handle_data(self, data):
            self.shown.append(data)

    parser = Texts()
    parser.feed(page)
    return " ".join("".join(parser.shown).split())


def test_what_the_user_or_an_error_says_comes_out_as_text(tmp_path):
    own = OwnRows(SMALL, f"file {HOSTILE}")
    context = Context(own=own)
    report = Report(tmp_path, context, {f"name {HOSTILE}": f"command {HOSTILE}"})
    said = dataclasses.replace(
        Toy.words,
        title=f"title {HOSTILE}",
        claims=[
            dataclasses.replace(Toy.words.claims[0], title=f"claim {HOSTILE}"),
            Toy.words.claims[1],
        ],
        setting={f"setting {HOSTILE}": f"value {HOSTILE}"},
        pictures={"line": f"caption {HOSTILE}"},
        limits=[f"limit {HOSTILE}"],
        code=f"code {HOSTILE}",
        tables={"values": words.TableWords(f"table {HOSTILE}", [(f"head {HOSTILE}", "{cell}")])},
    )

    class Hostile(Toy):
        def measure(self, context):
            measured = Toy().measure(context)
            cells = [{"cell": f"cell {HOSTILE}"}]
            return dataclasses.replace(
                measured, tables=[self.table("values", cells)], notes=[f"note {HOSTILE}"]
            )

    Hostile.words = said
    report.add(carry_out(Hostile(), context))
    report.add(carry_out(toy("E91", error=ValueError(f"error {HOSTILE}")), context))
    page = report.index.read_text(encoding="utf-8")
    tags = Page(page).tags
    assert tags.count("script") == 0
    assert tags.count("b") == 1 + 2 + 1  # how many hold, two findings, own rows
    shown = texts(page)
    places = "file name command title claim setting value caption limit code table head cell"
    for place in places.split():
        assert f"{place} {HOSTILE}" in shown, place
    assert f"note {HOSTILE}" in shown
    assert shown.count(f"ValueError: error {HOSTILE}") == 3  # summary, verdict, trace


def test_names_of_files_and_labels_come_out_as_text(toys, tmp_path, monkeypatch):
    toys(Toy())
    folder = tmp_path / "rows"
    folder.mkdir()
    name, label = """a <i>"&amp;' b.csv""", """<u>"y" & 'z'"""
    quoted = label.replace('"', '""')
    rows = ["1,0,<a>,p", "0,1,b & c,p", "1,1,<a>,q", "0,2,b & c,q"]
    (folder / name).write_text("\n".join([f'u,v,"{quoted}",site', *rows]))
    command = ["reproduce", "--quick", "--data", str(folder / name), "--label", label]
    command += ["--client", "site", "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["localgd", *command])
    assert main(command) == 0
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert not {"i", "u"} & set(Page(page).tags)
    shown = texts(page)
    assert f"Own rows: {name}, <a> (-1) against b & c (+1)" in shown
    assert """--label '<u>"y" & """ in shown


def test_two_toys_do_not_share_ids(tmp_path):
    report = Report(tmp_path, Context(), {})
    for name in ("E90", "E91"):
        report.add(carry_out(toy(name), Context()))
    ids = Page(report.index.read_text(encoding="utf-8")).ids
    assert len(ids) == len(set(ids))


def test_files_of_an_earlier_report_go_and_those_of_the_user_stay(tmp_path):
    for name in ("figures/E12_angles.svg", "data/E12_angles.csv", "data/mine.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    Report(tmp_path, Context(), {}).add(carry_out(Toy(), Context()))
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {
        "index.html",
        "summary.json",
        "summary.md",
        "data/mine.csv",
        "data/E90_line.csv",
        "figures/E90_line.svg",
    }
    assert (tmp_path / "data/E90_line.csv").read_text().splitlines()[:2] == ["round,value", "1,0.1"]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("ρ_S and p_i, w_{k+1}", "ρ<sub>S</sub> and p<sub>i</sub>, w<sub>k+1</sub>"),
        ("make_regression has n_clients", "make_regression has n_clients"),
        (
            "x^-κ, 2^-3 is -1 - 5 of 4.60e+07",
            "x<sup>−κ</sup>, 2<sup>−3</sup> is −1 − 5 of 4.60\xa0·\xa010<sup>7</sup>",
        ),
        ("10^5.7 is below 10^50.", "10<sup>5.7</sup> is below 10<sup>50</sup>."),
        ("a < b & c", "a &lt; b &amp; c"),
    ],
)
def test_powers_and_indices(text, html):
    assert rich(text) == html


def test_command_shows_a_failure_and_goes_on(toys, tmp_path, capsys):
    toys(Toy(error=RuntimeError("no luck")), toy("E91", value=2.0))
    assert main(["reproduce", "--out", str(tmp_path), "--quick"]) == 1
    printed = capsys.readouterr()
    assert "failed to run: E90" in printed.err
    assert re.search(r"E90 .*\n +failed", printed.out)
    assert "Limit: does not hold\n        It is 2. Digits: 2.0." in printed.out
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    tally = "2 claims in 2 experiments: 1 holds, 1 does not hold. 1 experiment failed to run."
    assert tally in page
    assert "RuntimeError: no luck" in page
    failed, found = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))[
        "experiments"
    ]
    assert failed["error"] == "RuntimeError: no luck"
    assert [claim["verdict"] for claim in found["claims"]] == ["does not hold", "holds"]
    assert found["claims"][0]["criterion"][1]["first_condition"] == "below 0.05"


def test_ctrl_c_keeps_what_is_finished(toys, tmp_path, capsys):
    toys(Toy(), toy("E91", error=KeyboardInterrupt()))
    assert main(["reproduce", "--out", str(tmp_path)]) == 130
    assert "interrupted; not finished: E91" in capsys.readouterr().err
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'id="E90"' in page
    assert "Not finished: E91." in page


def test_command_writes_nothing_to_standard_error_when_piped(toys, tmp_path, capsys):
    toys(Toy())
    assert main(["reproduce", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_list_and_refusals(capsys, tmp_path):
    assert main(["reproduce", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in IDS)
    assert main(["reproduce", "E99", "--out", str(tmp_path / "no")]) == 2
    assert "experiment: got E99; want some of E1" in capsys.readouterr().err
    assert main(["reproduce", "--label", "y", "--out", str(tmp_path / "no")]) == 2
    assert "label: got 'y' without data; want --data FILE" in capsys.readouterr().err
    assert main(["reproduce", "--seed", "-1", "--out", str(tmp_path / "no")]) == 2
    assert "seed: got '-1'; want a whole number" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_the_same_bytes_twice_but_for_the_page(tmp_path):
    for name in ("a", "b"):
        assert main(["reproduce", "E8", "--quick", "--out", str(tmp_path / name)]) == 0
    first, second = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("a", "b")
    )
    for files in (first, second):
        files.pop(Path("index.html"))  # has the date and seconds
    assert first == second
    assert len(first) >= 3


def test_own_rows(toys, tmp_path, capsys):
    toys(*find(["E8"]), Toy(), toy("E91", tasks=()))
    problem = lg.datasets.make_regression(n_clients=3, n_samples=4, n_features=30, seed=5)
    np.savez(tmp_path / "own.npz", X=problem.X, y=problem.y, clients=np.repeat([0, 1, 2], 4))
    out = tmp_path / "report"
    words = ["reproduce", "--quick", "--task", "regression", "--out", str(out)]
    assert main([*words, "--data", str(tmp_path / "own.npz")]) == 0
    printed = capsys.readouterr().out
    assert "12 rows of 30 features" in printed
    page = texts((out / "index.html").read_text(encoding="utf-8"))
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["own_rows"].startswith("own.npz")
    told = [
        "used: they take the place of the synthetic ones",
        "not used: it can use binary rows",
        "not used: it has rows of its own",
    ]
    assert [one["own_rows"] for one in summary["experiments"]] == told
    for said in told:
        assert f"own rows {said}" in printed
        assert page.count(f"our own rows: {said}.") == 2  # in the summary and in the section
    assert "(Own rows not used: it has rows of its own.)" in (out / "summary.md").read_text("utf-8")


def test_what_was_measured_on_the_users_rows_comes_first():
    said = Toy.words.claims[0]
    measured = Toy().measure(Context())
    assert said.found(measured) == "It is 0.1. Digits: 0.1."
    mine = dataclasses.replace(measured, real="your own rows", own_rows="used: as they are")
    assert said.found(mine) == "Your own rows: 0.1. It is 0.1."
    other = dataclasses.replace(measured, own_rows="not used: they are on one client")
    assert said.found(other) == "It is 0.1. Digits: 0.1."


def test_page_of_the_docs_names_every_experiment():
    page = Path(__file__).parents[1] / "docs" / "reproduce.md"
    if not page.exists():
        pytest.skip("the pages are in a checkout only")
    listed = re.findall(r"^\| (E\d+) .*\(\.\./(.*)\) \|$", page.read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in listed if name in IDS] == IDS
    for name, file in listed:
        assert (page.parents[1] / file).is_file() or name not in IDS


@pytest.mark.parametrize(
    ("problem", "note"),
    [
        (SMALL, "used: they are the real rows"),
        (lg.Problem([(SMALL.X, SMALL.y)]), "not used: they are on one client"),
        (lg.Problem([([[1.0]], [1]), ([[1.0]], [-1])]), "not used: they are not separable"),
    ],
)
def test_own_rows_are_used_where_they_can_be(problem, note):
    context = Context(own=OwnRows(problem, "rows"))
    found = Toy().own_or(context, on_clients, lambda: SMALL, "digits")
    assert found.own_rows == note
    assert (found.used is problem) == (found.name == "your own rows")
    assert (found.used is SMALL) == (found.name == "digits") or problem is SMALL


def test_without_own_rows_or_with_rows_of_another_task_nothing_is_noted():
    regression = lg.datasets.make_regression(n_clients=2, n_samples=3, n_features=10, seed=0)
    for own in (None, OwnRows(regression, "rows")):
        found = Toy().own_or(Context(own=own), separable, lambda: SMALL, "digits")
        assert (found.used, found.name, found.own_rows) == (SMALL, "digits", "")


def test_words_are_folded_except_for_code():
    assert Toy().words.limits == ["A toy. No more."]
    assert words.parse(TOY.replace("print(1 < 2)", "a\\nb"), "t").code == "a\nb"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("limit = 0.5", "limit = 0.5\nlimt = 1", r"toy: .*unexpected keyword argument 'limt'"),
        ("number =", "nmber =", r"toy: .*unexpected keyword argument 'nmber'"),
        ('title = "A toy"', "", r"toy: .*missing 1 required positional argument: 'title'"),
        ("local_gd", "nobody", r"toy: sources: got 'nobody'; want some of .*local_gd"),
        ('when = "beforehand"', "", r"toy: .*missing 1 required positional argument: 'when'"),
        ('first = "below 0.05"', "", r"toy: first: got ''"),
        ('"<"', '"!="', r"toy: comparison: got '!='; want one of <, <=, >, >=, =="),
        ("[setting]", "[setting", r"toy: .*line"),
    ],
)
def test_words_that_are_wrong_are_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        words.parse(TOY.replace(old, new, 1), "toy")


@pytest.fixture
def without_jinja2(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    html._environment.cache_clear()
    yield
    html._environment.cache_clear()


def test_without_jinja2_nothing_is_measured(toys, tmp_path, capsys, without_jinja2):
    toys(Toy(error=KeyboardInterrupt()))
    assert main(["reproduce", "--out", str(tmp_path / "out")]) == 2
    assert "needs jinja2: pip install 'localgd[cli]'" in capsys.readouterr().err


def test_experiments_are_listed_without_matplotlib_and_scikit_learn(run_python):
    done = run_python(
        "import sys; sys.modules['matplotlib'] = sys.modules['sklearn'] = None\n"
        "from localgd.reproducing import all_experiments, Context\n"
        "print(*[e.id for e in all_experiments() if e.setting(Context())])"
    )
    assert done.stdout.split() == IDS, done.stderr
