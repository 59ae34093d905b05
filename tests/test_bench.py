"""The bench compares like with like: every rival gives the weights of localgd, in every form."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import localgd as lg

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.append(str(BENCH))

import memory  # noqa: E402
import minimise  # noqa: E402
from engine_choice import readme as engine_table  # noqa: E402
from engine_choice.choice import share, verdict  # noqa: E402
from engine_choice.command import read  # noqa: E402
from engine_choice.measure import times  # noqa: E402
from engine_choice.problems import FAMILIES, Case, draw  # noqa: E402
from networks import cases as network_cases  # noqa: E402
from networks import rivals as network_rivals  # noqa: E402
from networks.results import KEPT as NETWORKS  # noqa: E402
from sparse_rows import cases as sparse_cases  # noqa: E402
from sparse_rows import rivals as sparse_rivals  # noqa: E402
from sparse_rows.results import KEPT as SPARSE_ROWS  # noqa: E402
from sparse_rows.sets import drawn_set, found_set, read_set  # noqa: E402
from throughput.cases import CASES, DTYPES, TOLERANCE, case_names  # noqa: E402
from throughput.limits import Machine  # noqa: E402
from throughput.measure import Entrant, measure  # noqa: E402
from throughput.processes import Refused, Remote  # noqa: E402
from throughput.readme import README, renewed  # noqa: E402
from throughput.results import RESULTS  # noqa: E402
from throughput.rivals import OURS, RIVALS  # noqa: E402
from throughput.table import Group, summary  # noqa: E402

# All cases with NumPy; of the others, some of which compile for seconds, those that differ in kind.
SOME = {"torch1": ("W1", "W5", "W7b"), "jax": ("W1", "W7b"), "numba": ("W1",)}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The contestants' processes must find the package that is tested."""
    paths = [str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.mark.parametrize("name", ["numpy1", *SOME])
def test_rivals_give_the_weights_of_localgd(name):
    try:
        rival = Remote(RIVALS[name], 2)
    except Refused as error:
        pytest.skip(str(error))
    with rival, Remote(OURS, 2) as ours:
        for case in SOME.get(name, CASES):
            small = CASES[case].small()
            if small.n_classes > 1:
                pytest.importorskip("mlxtend")
            for dtype in TOLERANCE if name == "numpy1" else (DTYPES[case != "W1"],):
                ours.ask("load", small, dtype, 2)
                rival.ask("load", small, dtype, 2)
                expected = ours.ask("expected", small.check_rounds)
                forms = rival.ask("forms", small)
                assert {keeps for _, _, keeps in forms} == {"weights", "gram"}
                if name == "numba":
                    forms = [form for form in forms if form[1:] == ("fused", "gram")]
                for number, form, keeps in forms:
                    deviation = rival.ask("deviation", number, small.check_rounds, expected)
                    assert deviation < TOLERANCE[dtype], (case, dtype, keeps, form)


def test_numba_deals_every_row_once_in_an_epoch():
    pytest.importorskip("numba")
    from throughput.rivals import numba_kernels

    order, batches = np.arange(6, dtype=np.int32), np.empty((600, 8), np.int32)
    numba_kernels.deal(order, np.uint64(1), batches)
    epochs = batches.reshape(-1, 6)
    assert (np.sort(epochs, axis=1) == np.arange(6)).all()
    counts = np.array([np.bincount(place, minlength=6) for place in epochs.T])
    even = len(epochs) / 6
    assert np.abs(counts - even).max() < 5 * np.sqrt(even * 5 / 6)


def test_wrong_rival_is_shown_and_not_timed():
    class Wrong:
        name = "numpy1"

        def ask(self, method, *arguments):
            assert method != "seconds"
            return {"forms": [(0, "loop", "weights")], "deviation": 0.5}.get(method)

    with Remote(OURS, 1) as ours:
        entrants = measure(CASES["W2"].small(), "float64", [ours, Wrong()], 1, 1, 0.001)
    wrong = next(entrant for entrant in entrants if not entrant.ours)
    assert wrong.problem == "wrong: weights differ by 5.0e-01"
    assert not wrong.rates
    group = Group(CASES["W2"].small(), "float64", entrants, {})
    assert any("wrong: weights differ" in line for line in group.lines())
    assert group.strongest() is None and math.isnan(group.ratio(None))


def test_rival_that_fails_is_reported():
    with Remote(OURS, 1) as ours, pytest.raises(Refused, match="AttributeError"):
        ours.ask("expected", 3)  # no job is loaded


def entrant(name, keeps, *rates):
    return Entrant(
        remote=type("R", (), {"name": name}), form=0, name="x", keeps=keeps, rates=[*rates]
    )


def test_ratios_are_to_the_strongest():
    ours = entrant("localgd", "gram", 30.0, 50.0, 40.0)
    rivals = [
        entrant("jax", "gram", 10.0),
        entrant("numba", "weights", 4.0),
        entrant("torch", "weights", 2.0),
    ]
    group = Group(CASES["W1"], "float64", [*rivals, ours], {})
    assert group.ratio(group.strongest()) == 4.0
    assert group.ratio(group.strongest("weights")) == 10.0
    assert "jax, gram x" in summary([group])[1]


class Known(Machine):
    """1 Gflop/s and 1 MB/s whatever the working set; threads that need no time to meet."""

    word_rate = 1e7
    handover = 0.0

    def product_rate(self, dtype):
        return 1e9

    def read_rate(self, size):
        return 1e6


def test_limits_count_flops_in_the_first_level_cache_and_bytes_beyond():
    limits = Known(2).limits(CASES["W1"], "float64")
    assert limits["gram"].steps_per_second == pytest.approx(1e9 / (2 * 50**2 + 10 * 50))
    assert limits["gram"].binding == "products"
    assert limits["weights"].steps_per_second == pytest.approx(1e6 / (50 * 600 * 8))
    assert limits["weights"].binding == "reading 234 KiB"
    assert limits["gram"].whole_round < limits["gram"].steps_per_second


@pytest.mark.parametrize(("name", "reads"), [("W6", 1), ("W8", 2)])
def test_the_server_reads_rows_twice_where_a_client_outgrows_its_cache(name, reads, monkeypatch):
    monkeypatch.setattr(
        "throughput.limits.cache_bytes", lambda level: 2**20 if level == 2 else 2**15
    )
    case = CASES[name]
    limit = Known(2).limits(case, "float64")["gram"]
    rows = case.n_rows * case.n_features * 8 / 1e6  # seconds to read them
    if name == "W6":  # and half the blocks, which stay in no cache, and coefficients
        rows += case.n_clients * (15 + 2 * case.n_samples) * 8 / 1e6
    server = (1 / limit.whole_round - 1 / limit.steps_per_second) * case.steps_per_round
    assert server == pytest.approx(reads * rows)


def test_batches_are_drawn_on_the_clock():
    drawn, all_rows = (Known(2).limit(CASES[name], "float64", "gram") for name in ("W7b", "W1"))
    seconds = [1 / x.whole_round - 1 / x.steps_per_second for x in (drawn, all_rows)]
    assert seconds[0] - seconds[1] == pytest.approx(8 / 1e7)


def test_every_round_is_handed_over():
    machine = Known(2)
    machine.handover = 1e-3
    at_once, later = (m.limit(CASES["W2"], "float64", "gram") for m in (Known(2), machine))
    seconds = 1 / later.whole_round - 1 / at_once.whole_round
    assert seconds * CASES["W2"].steps_per_round == pytest.approx(1e-3)


def test_a_handover_is_measured():
    assert 0 <= Machine(2).handover < 1  # seconds; 0 where one thread is as fast


def test_the_weights_are_kept_where_that_takes_fewer_flops():
    assert "gram" not in Known(2).limits(CASES["W4"], "float64")  # 2 n² is more than 4 n d


def test_learning_rates_share_the_bytes():
    one, many = (Known(2).limit(CASES[name], "float64", "weights") for name in ("W1", "W5"))
    assert many.steps_per_second == pytest.approx(64 * one.steps_per_second)


def test_names_of_cases():
    assert case_names(["w7", "W1", "W7a"]) == ["W7a", "W7b", "W1"]
    with pytest.raises(SystemExit, match="--cases: got 'W9'; want one of W1"):
        case_names(["W9"])


def test_the_readme_shows_the_results():
    page = README.read_text(encoding="utf-8")
    assert renewed(page) == page, "run python bench/throughput --table"
    assert len(list(RESULTS.glob("*.json"))) >= 2
    for file in RESULTS.glob("*.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        assert [(case["case"], case["dtype"]) for case in found["cases"]] == [
            (name, dtype) for name in CASES for dtype in DTYPES
        ]


def test_one_command_prints_one_table_and_writes_json(tmp_path):
    out, results = tmp_path / "figures.json", tmp_path / "results" / "here.json"
    command = [sys.executable, str(BENCH / "throughput"), "--small", "--cases", "W2", "W5"]
    command += ["--dtypes", "float64", "--rivals", "numpy1", "--repeats", "2", "--least", "0.001"]
    done = subprocess.run(
        [*command, "--json", str(out), "--results", str(results)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "strongest rival" in done.stdout
    report = json.loads(out.read_text())
    assert report["build_info"]["version"] == lg.__version__
    assert {group["case"]["name"] for group in report["cases"]} == {"W2", "W5"}
    for group in report["cases"]:
        for found in group["entrants"]:
            assert not found["problem"] and found["deviation"] <= 1e-8
            assert 1 <= len(found["rates"]) <= 2 and min(found["rates"]) > 0
    names = {found["form"] for found in report["cases"][1]["entrants"]}
    assert {"run", "sweep"} <= names
    page = renewed(README.read_text(encoding="utf-8"), results.parent)
    for group, kept in zip(report["cases"], json.loads(results.read_text())["cases"], strict=True):
        assert kept["rival"].startswith("numpy1")
        ratio = kept["steps_per_second"] / kept["rival_steps_per_second"]
        assert ratio == pytest.approx(kept["ratio"], rel=1e-3)
        assert ratio == pytest.approx(group["ratio_to_strongest"], rel=1e-3)
        assert f"| here | {kept['case']} | float64 |" in page


@pytest.mark.parametrize(
    "name",
    [  # of Numba half a minute of compiling
        pytest.param(name, marks=[pytest.mark.slow] if name == "numba" else [])
        for name in sparse_rivals.RIVALS
    ],
)
def test_rivals_on_sparse_rows_give_the_weights_of_localgd(name):
    worker = "sparse_rows.worker"
    try:
        rival = Remote(sparse_rivals.RIVALS[name], 2, worker)
    except Refused as error:
        pytest.skip(str(error))
    cases = sparse_cases.CASES.values()
    with rival, Remote(OURS, 2, worker) as ours:
        for case, dtype in zip(cases, ("float64", "float32", "float64"), strict=True):
            found = measure(case.small(), dtype, [ours, rival], 2, 1, 0.001)
            assert len(found) >= 4
            assert [entrant.problem for entrant in found] == [""] * len(found)


def test_drawn_rows_hold_common_columns_more_often():
    X, y = drawn_set(400, 1000, 20, ones=False)
    assert X.has_canonical_format and (np.diff(X.indptr) == 20).all()
    np.testing.assert_allclose((X.multiply(X)).sum(axis=1), 1)
    assert abs(y.mean()) < 0.05
    counts = np.bincount(X.indices, minlength=1000)
    assert counts[:10].sum() > counts[-500:].sum()


def test_sets_are_found_in_a_folder(tmp_path):
    file = tmp_path / "a9a.svm"
    file.write_text("+1 1:1 3:1\n-1 2:1\n")
    assert found_set(tmp_path, "a9a") == file and found_set(tmp_path, "w8a") is None
    X, y = read_set(file, 4)
    assert X.shape == (2, 4) and X.nnz == 3 and y.tolist() == [1, -1]


def test_one_command_times_sparse_rows(tmp_path):
    command = [sys.executable, str(BENCH / "sparse_rows"), "--small", "--cases", "S3", "--clock"]
    command += ["cpu", "--rivals", "scipy", "--repeats", "1", "--least", "0.001"]
    file = tmp_path / "here.json"
    done = subprocess.run(
        [*command, "--results", str(file)], capture_output=True, text=True, timeout=120, check=True
    )
    assert "run, every step" in done.stdout
    page = SPARSE_ROWS.renewed(README.read_text(encoding="utf-8"), tmp_path)
    for kept in json.loads(file.read_text())["cases"]:
        assert kept["rival"].startswith("scipy")
        ratio = kept["rival_nanoseconds"] / kept["nanoseconds"]
        assert ratio == pytest.approx(kept["ratio"], rel=1e-3)
        assert f"| S3 | {kept['dtype']} |" in page


def test_table_of_sparse_rows_is_that_of_the_results():
    page = README.read_text(encoding="utf-8")
    assert SPARSE_ROWS.renewed(page) == page, "run python bench/sparse_rows --table"
    assert list(SPARSE_ROWS.folder.glob("*.json"))


@pytest.mark.parametrize("name", list(network_rivals.RIVALS))
def test_rivals_on_networks_give_the_parameters_of_localgd(name):
    worker = "networks.worker"
    try:
        rival = Remote(network_rivals.RIVALS[name], 2, worker)
    except Refused as error:
        pytest.skip(str(error))
    case = network_cases.CASES["N1"].small()
    with rival, Remote(network_rivals.OURS, 2, worker) as ours:
        for dtype in ("float64", "float32"):
            found = measure(case, dtype, [ours, rival], 2, 1, 0.001)
            assert len(found) >= 3
            assert [entrant.problem for entrant in found] == [""] * len(found)


def test_one_command_times_networks(tmp_path):
    command = [sys.executable, str(BENCH / "networks"), "--small", "--cases", "N1", "--clock"]
    command += ["cpu", "--rivals", "--repeats", "1", "--least", "0.001"]
    file = tmp_path / "here.json"
    done = subprocess.run(
        [*command, "--results", str(file)], capture_output=True, text=True, timeout=120, check=True
    )
    assert " % " in done.stdout
    page = NETWORKS.renewed(README.read_text(encoding="utf-8"), tmp_path)
    for kept in json.loads(file.read_text())["cases"]:
        assert kept["steps_per_second"] > 0
        assert f"| N1 | {kept['dtype']} |" in page


def test_table_of_networks_is_that_of_the_results():
    if not list(NETWORKS.folder.glob("*.json")):
        pytest.skip("no figures are kept yet")
    page = README.read_text(encoding="utf-8")
    assert NETWORKS.renewed(page) == page, "run python bench/networks --table"


def test_every_way_to_minimise_reaches_its_goal():
    X, y = drawn_set(300, 30, 5, ones=True)
    clock = minimise.CLOCKS["cpu"]
    lines = minimise.compare(X, y, clients=7, repeats=1, clock=clock, threads=1)
    assert len(lines) == 5
    assert [line for line in lines if "NOT REACHED" in line and "lbfgs" not in line] == []


@pytest.mark.skipif(sys.platform == "win32", reason="memory.py asks Unix for the peak")
@pytest.mark.parametrize("kind", ["dense", "in_place"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_take_their_own_memory_and_little_more(kind, dtype):
    """Beside some 4 MB of the threads, which of 64 MB are much and of more rows nothing."""
    assert 0.75 < memory.peak_over_rows(kind, dtype, 64) < 1.4


GOOD = 0.95  # of the problems


def test_problems_of_the_grid():
    cases = list(draw(200, 0))
    assert cases == list(draw(200, 0)) and len(set(cases)) == 200
    assert {case.family for case in cases} == set(FAMILIES)
    small = [case for case in cases if case.clients * case.rows * case.features < 10_000]
    for case in small:
        problem, shape = case.problem(), case.shape()
        for name in ("n_clients", "n_samples", "n_features", "n_classes"):
            assert getattr(problem, name) == getattr(shape, name)
        np.testing.assert_array_equal(problem.offsets, shape.offsets)


def test_engines_are_timed_in_turn():
    case = Case(3, 10, 5, 4, "LocalGD", "float64", False, 1.0, False, 30)
    timed_case, seconds = times(case, 1)
    assert timed_case == case
    assert set(seconds) == {"gram", "hybrid", "primal"}
    assert all(0 < value < 1 for value in seconds.values())


def test_choice_is_good_by_the_times_that_are_kept():
    """No time is taken: the forecast of today is judged by times of before."""
    files = list(engine_table.RESULTS.glob("*.json"))
    assert files
    for file in files:
        verdicts = [verdict(timed) for timed in read(file)]
        assert len(verdicts) >= 200
        assert share(verdicts) >= GOOD, sorted(found.ratio for found in verdicts)[-20:]


def test_table_of_engines_is_that_of_the_results():
    page = README.read_text(encoding="utf-8")
    assert engine_table.renewed(page) == page, "run python bench/engine_choice --table"
