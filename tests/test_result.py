"""The result of a run: written and read bit for bit, shown in a line, turned into a table."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import registry

import localgd as lg


@pytest.fixture
def run(small_problem):
    method = lg.LocalGD(local_steps=7, lr=lg.TwoStage(np.float32(0.25), 1, np.int64(30)))
    return lg.run(small_problem, method, rounds=100, reference=np.ones(30), seed=2**100)


def test_save_and_load_bit_for_bit(run, tmp_path):
    path = run.save(tmp_path / "result.npz")
    assert path == tmp_path / "result.npz"
    again = lg.load(path)
    registry.assert_same_bits(run, again)
    for name in ("config", "engine", "threads", "elapsed", "status", "round", "message"):
        assert getattr(again, name) == getattr(run, name)
    assert {name: column.dtype for name, column in again.history.items()} == {
        name: column.dtype for name, column in run.history.items()
    }
    assert repr(again) == repr(run)


@pytest.mark.parametrize("name", ["result", "result.v1", "result.npz"])
def test_suffix_is_added_where_it_is_missing(run, tmp_path, name):
    path = run.save(str(tmp_path / name))
    assert path.name == name.removesuffix(".npz") + ".npz"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_saving_again_replaces_the_file(run, small_problem, tmp_path):
    other = lg.run(small_problem, lg.GD(lr=0.1), rounds=3)
    run.save(tmp_path / "result.npz")
    other.save(tmp_path / "result.npz")
    registry.assert_same_bits(lg.load(tmp_path / "result.npz"), other)


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
def test_status_and_message_are_kept(tmp_path):
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[-9.0, 1.0]], [1])])
    run = lg.run(problem, lg.GD(lr=1e4), rounds=50)
    again = lg.load(run.save(tmp_path / "result.npz"))
    assert (again.status, again.message) == ("diverged", run.message)
    with pytest.raises(lg.DivergedError):
        again.raise_for_status()


def test_folder_that_does_not_exist(run, tmp_path):
    with pytest.raises(FileNotFoundError):
        run.save(tmp_path / "missing" / "result.npz")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04", b"\x93NUMPY"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.npz: not a run saved by localgd"):
        lg.load(path)


def test_truncated_file_is_refused(run, tmp_path):
    path = run.save(tmp_path / "result.npz")
    content = path.read_bytes()
    for end in (5, 100, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"result\.npz: not a run saved by localgd"):
            lg.load(path)


def test_arrays_of_others_are_refused(small_problem, tmp_path):
    np.savez(tmp_path / "arrays.npz", weights=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones(3))
    lg.run(small_problem, lg.GD(lr=0.1), rounds=3, checkpoint=tmp_path / "checkpoint.npz")
    for name in ("arrays.npz", "array.npy", "checkpoint.npz"):
        with pytest.raises(ValueError, match=rf"{name}: not a run saved by localgd"):
            lg.load(tmp_path / name)


def test_format_of_the_future_is_refused(run, tmp_path):
    path = run.save(tmp_path / "result.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    meta = json.loads(str(arrays.pop("meta")))
    np.savez(path, meta=json.dumps({**meta, "format": 99}), **arrays)
    with pytest.raises(ValueError, match=r"not a run saved by localgd \(format 99; want 2\)"):
        lg.load(path)


def test_frame_holds_the_history(run):
    pytest.importorskip("pandas")
    frame = run.to_frame()
    assert list(frame.columns) == list(run.history)
    for name, column in run.history.items():
        np.testing.assert_array_equal(frame[name], column)


def test_columns_in_their_order(run, small_problem):
    first = ["round", "local_steps", "loss", "log_loss"]
    last = [
        *("drift", "grad_norm", "grad_variance", "grad_alignment", "grad_dissimilarity"),
        *("passes", "bytes", "bits", "bits_up", "bits_down"),
    ]
    assert list(run.history) == [*first, "margin", "norm", "angle", *last]
    plain = lg.run(small_problem, lg.GD(lr=0.1), rounds=3)
    assert list(plain.history) == [*first, "margin", "norm", *last]
    regression = lg.Problem([([[1.0]], [0.5])])
    squared = lg.run(regression, lg.GD(lr=0.1), rounds=3, loss="squared")
    assert list(squared.history) == [*first, "norm", *last]
    kernel = lg.Problem.from_gram([[1.0]], [1], [0])
    assert list(lg.run(kernel, lg.GD(lr=0.1), rounds=3).history) == [
        *first,
        "margin",
        "norm",
        *last[:-4],  # nothing is sent
    ]


def test_missing_pandas_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(lg.MissingExtraError, match=r"Run\.to_frame needs pandas.*localgd\[data\]"):
        run.to_frame()


def test_repr_is_one_line_of_results(run):
    last = {name: column[-1] for name, column in run.history.items()}
    assert repr(run) == (
        f"Run(completed after 100 rounds, {run.engine}: exponential loss {last['loss']:.6g}, "
        f"margin {last['margin']:.6g}, angle {last['angle']:.6g} rad)"
    )


def test_config_is_what_was_asked_for(run):
    config = json.loads(json.dumps(run.config))
    assert config == run.config
    assert config["method"] == {
        "name": "LocalGD",
        "local_steps": 7,
        "lr": {"name": "TwoStage", "lr1": 0.25, "lr2": 1.0, "switch_round": 30},
        "server": {"name": "Average"},
        "participation": 1.0,
        "sampling": "uniform",
        "shares": "renormalized",
        "fednova": True,
    }
    wanted = {"rounds": 100, "loss": "exponential", "engine": "auto", "seed": 2**100}
    assert {key: config[key] for key in wanted} == wanted
    assert config["record"] == {"name": "LogSpaced", "per_decade": 10}
    assert config["problem"] == {
        "task": "binary",
        "n_clients": 5,
        "n_samples": 50,
        "n_features": 30,
        "intercept": "none",
        "labels": [-1, 1],
    }


class Schedule:
    """A callable without a name of its own."""

    def __call__(self, round):
        return 0.1


@dataclasses.dataclass(frozen=True)
class Steps:
    """A user's own schedule, with fields of NumPy types."""

    first: np.float32
    table: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(3))

    def __call__(self, round):
        return float(self.first)


def test_fields_of_a_users_schedule_appear_in_the_config(small_problem, tmp_path):
    run = lg.run(small_problem, lg.GD(lr=Steps(np.float32(0.5))), rounds=0)
    expected = {"name": "Steps", "first": 0.5, "table": "array([1., 1., 1.])"}
    assert run.config["method"]["lr"] == expected
    assert lg.load(run.save(tmp_path / "run")).config == run.config


@pytest.mark.parametrize(
    ("lr", "name"), [(lambda k: 0.1, "<lambda>"), (Schedule(), "Schedule"), (abs, "abs")]
)
def test_callables_appear_in_the_config_by_name(small_problem, tmp_path, lr, name):
    run = lg.run(small_problem, lg.GD(lr=lr), rounds=0)
    assert run.config["method"]["lr"].endswith(name)
    assert lg.load(run.save(tmp_path / "run")).config == run.config


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        (lg.GD(lr=0.1), 1 * 5),
        (lg.LocalGD(7, 0.1), 7 * 5),
        (lg.LocalGD([1, 2, 3, 4, 5], 0.1), 15),
        (lg.LocalSGD(7, 0.1, participation=2), 7 * 2),
        (lg.LocalSolve(), 5),
    ],
)
def test_local_steps_per_second_counts_the_clients_of_a_round(small_problem, method, steps):
    run = lg.run(small_problem, method, rounds=40)
    assert run.local_steps_per_second == pytest.approx(40 * steps / run.elapsed)


def test_runs_without_weights_or_coefficients_are_saved(small_problem, tmp_path):
    adam = lg.run(small_problem, lg.GD(lr=0.1, server=lg.ServerAdam(0.1)), rounds=3)
    assert adam.coefficients is None
    assert lg.load(adam.save(tmp_path / "adam")).coefficients is None
    problem = lg.Problem.from_gram([[1.0, 0.5], [0.5, 1.0]], [1, -1], [0, 1])
    kernel = lg.run(problem, lg.GD(lr=0.1), rounds=3, keep_weights=True)
    assert kernel.weights is None
    again = lg.load(kernel.save(tmp_path / "kernel"))
    assert again.weights is None
    np.testing.assert_array_equal(again.coefficients, kernel.coefficients)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("los", "no column 'los'; did you mean 'loss'"),
        ("suboptimality", "no column 'suboptimality': reference=lg.reference.minimizer"),
        ("test_auc", r"no column 'test_auc': test=\(X, y\) of the run brings it"),
    ],
)
def test_a_column_that_is_not_there_is_answered(run, tmp_path, name, message):
    entry = lg.sweep(lg.Problem([([[1.0]], [1])]), lg.GD(1.0), rounds=1)[0]
    for history in (run.history, lg.load(run.save(tmp_path / "run")).history, entry.history):
        with pytest.raises(KeyError, match=message):
            history[name]
        assert name not in history and history.get(name) is None


def test_runs_saved_with_the_old_name_of_fednova_are_read(run, tmp_path):
    method = {key: value for key, value in run.config["method"].items() if key != "fednova"}
    config = {**run.config, "method": {**method, "normalize": False}}
    old = dataclasses.replace(run, config=config)
    found = lg.load(old.save(tmp_path / "old"))
    assert found.config["method"]["fednova"] is False
    assert "normalize" not in found.config["method"]
    assert "fednova=False" in found.command
