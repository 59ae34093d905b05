"""Records of a run while it runs: callbacks, loggers, and ``logging``."""

from __future__ import annotations

import csv
import logging
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import registry

import localgd as lg
from localgd import loggers

PROBLEM = registry.problem("logistic")
SETTINGS = {"loss": "logistic", "rounds": 50, "record": range(0, 51, 10)}


def recorded(**options):
    records = []
    run = lg.run(PROBLEM, lg.LocalGD(3, 0.2), callback=records.append, **{**SETTINGS, **options})
    return run, records


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_records_are_the_lines_of_the_history(engine):
    best = lg.reference.minimizer(PROBLEM, loss="logistic", l2=0.1)
    options = {"measures": {"first": lambda w: w[0]}, "l2": 0.1, "reference": best}
    run, records = recorded(engine=engine, **options)
    assert [list(record) for record in records] == [list(run.history)] * 6
    for name, column in run.history.items():
        np.testing.assert_array_equal([record[name] for record in records], column, err_msg=name)


def test_a_run_is_the_same_with_a_callback():
    run, _ = recorded()
    alone = lg.run(PROBLEM, lg.LocalGD(3, 0.2), **SETTINGS)
    np.testing.assert_array_equal(run.weights, alone.weights)
    assert run.status == alone.status == "completed"


def test_true_stops_the_run_and_the_status_says_so(tmp_path):
    def at_twenty(record):
        record["loss"] = 0.0  # a copy, which says nothing to others
        return record["round"] == 20

    seen = []
    file = tmp_path / "run.npz"
    options = {**SETTINGS, "checkpoint": file}
    run = lg.run(PROBLEM, lg.GD(0.2), callback=[at_twenty, seen.append], **options)
    assert (run.status, run.round) == ("stopped", 20)
    assert run.message == "stopped after round 20 of 50: callback() said so"
    assert [record["round"] for record in seen] == [0, 10, 20]
    assert seen[-1]["loss"] == run.history["loss"][-1] > 0
    rest = lg.run(PROBLEM, lg.GD(0.2), **options)
    whole = lg.run(PROBLEM, lg.GD(0.2), **SETTINGS)
    np.testing.assert_array_equal(rest.weights, whole.weights)
    np.testing.assert_array_equal(rest.history["loss"], whole.history["loss"])
    assert lg.load(run.save(tmp_path / "saved.npz")).status == "stopped"


def test_true_at_the_last_record_stops_nothing():
    run = lg.run(PROBLEM, lg.GD(0.2), callback=lambda r: r["round"] == 50, **SETTINGS)
    assert (run.status, run.message) == ("completed", "")


def test_stop_and_callback_go_together():
    seen = []
    run = lg.run(PROBLEM, lg.GD(0.2), stop={"loss": 1e9}, callback=seen.append, **SETTINGS)
    assert (run.status, run.round, len(seen)) == ("completed", 0, 1)


def test_an_error_of_a_callback_is_that_of_the_run():
    with pytest.raises(ZeroDivisionError):
        lg.run(PROBLEM, lg.GD(0.2), callback=lambda _: 1 / 0, **SETTINGS)


@pytest.mark.parametrize("callback", [1, "print", lg.loggers.CsvLogger, [print, 2]])
def test_what_is_no_callback_is_refused(callback):
    with pytest.raises(TypeError, match=r"callback: got .*; want a function of a record"):
        lg.run(PROBLEM, lg.GD(0.2), callback=callback, **SETTINGS)


def test_a_sweep_tells_each_run_as_it_finishes():
    seen = []
    settings = {**SETTINGS, "grid": {"lr": [0.1, 0.2, 0.3]}}
    table = lg.sweep(PROBLEM, lg.GD(0.1), callback=seen.append, **settings)
    assert [record["lr"] for record in seen] == [0.1, 0.2, 0.3]
    assert {record["status"] for record in seen} == {"completed"}
    assert [record["loss"] for record in seen] == table.last("loss").tolist()
    few = lg.sweep(PROBLEM, lg.GD(0.1), batch=False, callback=lambda r: r["lr"] == 0.2, **settings)
    assert [entry.values["lr"] for entry in few] == [0.1, 0.2]


def test_a_csv_file_can_be_followed(tmp_path):
    path = tmp_path / "history.csv"
    lines = []
    run = lg.run(
        PROBLEM,
        lg.GD(0.2),
        callback=[loggers.CsvLogger(path), lambda _: lines.append(path.read_text().count("\n"))],
        **SETTINGS,
    )
    assert lines == [2, 3, 4, 5, 6, 7]
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    for name, column in run.history.items():
        np.testing.assert_array_equal([float(line[name]) for line in found], column)


def test_a_csv_file_goes_on_after_a_checkpoint(tmp_path):
    path, options = tmp_path / "history.csv", {**SETTINGS, "checkpoint": tmp_path / "run.npz"}
    log = loggers.CsvLogger(path)
    lg.run(PROBLEM, lg.GD(0.2), callback=[log, lambda r: r["round"] == 20], **options)
    lg.run(PROBLEM, lg.GD(0.2), callback=loggers.CsvLogger(path, append=True), **options)
    rounds = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    assert rounds == ["0", "10", "20", "30", "40", "50"]
    with pytest.raises(
        ValueError, match=r"path: .* has the columns round, .*; want round, loss, or"
    ):
        loggers.CsvLogger(path, append=True)({"round": 1, "loss": 2.0})
    log.close()
    log({"round": 1, "loss": 2.0})
    assert path.read_text() == "round,loss\n1,2.0\n"


def test_mlflow_gets_finite_numbers_by_round(monkeypatch):
    told = []
    fake = SimpleNamespace(
        log_params=lambda params: told.append(params),
        log_metrics=lambda metrics, step: told.append((step, metrics)),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    with loggers.MLflowLogger(prefix="train/", params={"lr": 0.2}) as log:
        run, _ = recorded()
        for k in range(2):
            log({name: column[k].item() for name, column in run.history.items()} | {"method": "GD"})
    assert told[0] == {"lr": 0.2}
    assert [step for step, _ in told[1:]] == [0, 10]
    assert told[2][1]["train/loss"] == run.history["loss"][1]
    assert math.isnan(run.history["drift"][0])
    assert "train/drift" not in told[1][1]
    assert "train/method" not in told[1][1]


def test_tensorboard_gets_finite_numbers_by_round(monkeypatch, tmp_path):
    told = []
    writer = SimpleNamespace(
        add_scalar=lambda *scalar: told.append(scalar),
        flush=lambda: told.append("flush"),
        close=lambda: told.append("close"),
    )
    fake = SimpleNamespace(SummaryWriter=lambda folder: told.append(folder) or writer)
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    with loggers.TensorBoardLogger(tmp_path) as log:
        log({"round": 3, "loss": 0.5, "angle": math.nan})
        log({"round": 4, "loss": 0.25})
    log.close()
    assert told == [
        *(str(tmp_path), ("loss", 0.5, 3), "flush", ("loss", 0.25, 4), "flush", "close")
    ]


def test_tensorboard_itself_can_be_written(tmp_path):
    pytest.importorskip("tensorboardX")
    with loggers.TensorBoardLogger(tmp_path) as log:
        lg.run(PROBLEM, lg.GD(0.2), callback=log, **SETTINGS)
        log({"round": 1, "loss": 0.5})
    assert [path.stat().st_size > 0 for path in tmp_path.iterdir()] == [True]


@pytest.mark.filterwarnings("ignore")  # its own, about where it keeps runs
def test_mlflow_itself_takes_the_records(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as active:
        lg.run(PROBLEM, lg.GD(0.2), callback=loggers.MLflowLogger(params={"lr": 0.2}), **SETTINGS)
    client = mlflow.MlflowClient()
    steps = [metric.step for metric in client.get_metric_history(active.info.run_id, "loss")]
    assert sorted(steps) == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("mlflow", loggers.MLflowLogger),
        ("tensorboardX", lambda: loggers.TensorBoardLogger("nowhere")),
    ],
)
def test_missing_packages_are_said_when_a_logger_is_made(monkeypatch, module, make):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(lg.MissingExtraError, match=rf"needs {module}: .*localgd\[trackers\]"):
        make()


def test_logging_says_what_is_taken_and_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr("localgd.running.SECONDS_BETWEEN_LINES", -1.0)
    with caplog.at_level(logging.INFO, logger="localgd"):
        run = lg.run(PROBLEM, lg.GD(0.2), rounds=50, threads=1)
    said = [record.getMessage() for record in caplog.records]
    assert f"for 50 rounds, exponential loss, engine {run.engine}, float64, threads 1" in said[0]
    assert any(line.startswith("round 1 of 50, ") for line in said)
    assert said[-1].startswith("completed after 50 rounds, ")
    assert "exponential loss " in repr(run)


def test_logging_is_silent_unless_asked(capfd):
    lg.run(PROBLEM, lg.GD(0.2), rounds=50)
    assert capfd.readouterr() == ("", "")
    handlers = logging.getLogger("localgd").handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]


def test_numbers_have_no_margin_to_stop_at():
    problem = lg.datasets.make_regression(n_clients=2, n_samples=5, n_features=20, seed=0)
    with pytest.raises(
        ValueError, match="stop: there is no column 'margin'; want loss, log_loss, norm"
    ):
        lg.run(problem, lg.GD(0.1), rounds=3, stop={"margin": 1.0})
    with pytest.raises(ValueError, match=r"'grad_nrm'; .*: did you mean 'grad_norm'\?"):
        lg.run(problem, lg.GD(0.1), rounds=3, stop={"grad_nrm": 1.0})
