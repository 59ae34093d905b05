"""``localgd run --method``: every method, its parameters and what is refused."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

from test_cli import PROBLEM, here, read, write_csv

from localgd.cli import main, words
from localgd.cli.chosen_method import build, settle
from localgd.cli.config import read_config
from localgd.cli.methods import PARAMETERS, SHELL_METHODS
from localgd.cli.pooled import angles_to_pooled
from localgd.cli.settings import MethodSettings, Settings
from localgd.methods import METHODS

__all__ = ["here"]  # the fixture

PLAIN = {
    "gd": lg.GD("1/H"),
    "local-gd": lg.LocalGD(100, "1/H"),
    "local-sgd": lg.LocalSGD(100, "1/H"),
    "fedavg": lg.FedAvg(local_epochs=1, lr="1/H"),
    "minibatch-sgd": lg.MinibatchSGD(100, "1/H"),
    "modified-local-gd": lg.ModifiedLocalGD(100, "1/H"),
    "local-solve": lg.LocalSolve(),
    "fedprox": lg.FedProx(100, "1/H", 0.1),
    "scaffold": lg.Scaffold(100, "1/H"),
    "grad-align": lg.GradAlign("1/H", 0.1),
    "fedga": lg.FedGA(100, "1/H", 0.1),
}


COMPARED = {"local-gd", "local-sgd", "modified-local-gd", "fedprox", "scaffold", "fedga"}


def method_of(**values):
    return build(settle(Settings.from_values(values)))


def run_file(options, *, folder="localgd-run", rounds=3):
    """Run on rows.csv with its own clients; the saved run."""
    base = f"--data rows.csv --client site --label y --scale none --rounds {rounds} -o {folder}"
    assert main(["run", *base.split(), *options.split()]) == 0
    return lg.load(f"{folder}/run.npz")


# Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain", "wanted"),
    [
        (7, 7, 7),
        ("1e2", 100, 100),
        ("10,2e1, 30", "10,20,30", (10, 20, 30)),
        ("exact", "exact", None),
    ],
)
def test_local_steps(value, plain, wanted):
    assert read("local_steps", value) == plain
    assert read("local_steps", plain) == plain
    assert words.local_steps(plain) == wanted


@pytest.mark.parametrize("value", ["", "0", "1.5", "3,", "1,-2", "2,exact", True, [1, 2]])
def test_local_steps_refuse(value):
    with pytest.raises(ValueError, match=r"local_steps: got .* want a whole number of at least 1"):
        read("local_steps", value)


@pytest.mark.parametrize(
    ("value", "wanted"), [("5", 5), ("1", 1), ("1.0", 1.0), (0.1, 0.1), (3, 3), ("1e-1", 0.1)]
)
def test_participation_is_a_count_or_a_fraction(value, wanted):
    share = read("participation", value)
    assert (type(share), share) == (type(wanted), wanted)


@pytest.mark.parametrize("value", ["0", "2.5", "-1", "all", True, "0.0", "nan"])
def test_participation_refuses(value):
    with pytest.raises(
        ValueError, match=r"participation: got .* want a count of clients such as 5"
    ):
        read("participation", value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("average", lg.Average()),
        ("anchored", lg.Anchored()),
        ("sgd:0.5,0.9", lg.ServerSGD(0.5, 0.9)),
        ("nesterov:0.7,0.9", lg.ServerSGD(0.7, 0.9, nesterov=True)),
        ("adam:0.1", lg.ServerAdam(0.1)),
        ("adam:0.1,0.8,0.9,1e-2", lg.ServerAdam(0.1, 0.8, 0.9, 0.01)),
        ("yogi:1", lg.ServerYogi(1.0)),
        ("adagrad:1,0,0.5", lg.ServerAdagrad(1.0, 0.0, 0.5)),
    ],
)
def test_servers(value, wanted):
    assert words.server(read("server", value)) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mean", "want average, anchored, sgd:LR,MOMENTUM, nesterov:LR,MOMENTUM, adam:LR"),
        ("sgd:1", "want sgd:LR,MOMENTUM$"),
        ("average:1", "want average$"),
        ("adam", "want adam:LR, or adam:LR,BETA1,BETA2,TAU"),
        ("yogi:1,1", "beta1: got 1; want a number of at least 0 and below 1"),
        ("adagrad:0", "lr: got 0; want a finite number above 0"),
        ("sgd:1,x", "want sgd:LR,MOMENTUM"),
    ],
)
def test_servers_refuse(value, message):
    with pytest.raises(ValueError, match=f"^server: .*{message}"):
        read("server", value)


@pytest.mark.parametrize("value", ["half", "0", "1.5", -1, [1]])
def test_batches_refuse(value):
    with pytest.raises(ValueError, match=r"batch_size: got .* at least 1, or full"):
        read("batch_size", value)


@pytest.mark.parametrize(("value", "wanted"), [("1/H", "1/H"), ("1/(LH)", "1/(LH)"), ("1/LH",) * 2])
def test_presets_of_the_learning_rate(value, wanted):
    plain = read("lr", value)
    assert words.learning_rate(plain) == ("1/(LH)" if wanted == "1/LH" else wanted)


# The list of methods --------------------------------------------------------------------------


def test_the_shell_has_every_method():
    assert {entry.kind for entry in SHELL_METHODS.values()} == {*METHODS, lg.FedAvg}
    assert set(PLAIN) == set(SHELL_METHODS)
    assert set(PARAMETERS) <= set(MethodSettings.model_fields)


def test_help_explains_each_method_in_one_line(here, capsys):
    assert main(["run", "--help"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, entry in SHELL_METHODS.items():
        assert f"{name} {entry.line}" in lines


@pytest.mark.parametrize("name", SHELL_METHODS)
def test_defaults(name):
    assert method_of(method=name) == PLAIN[name]


ALL = {
    "local_steps": "3,2,1,5",
    "local_epochs": 3,
    "lr": "two-stage:0.1,1,5",
    "batch_size": 2,
    "replacement": True,
    "mu": 0.5,
    "beta": 0.25,
    "fednova": False,
    "server": "sgd:0.5,0.25",
    "participation": 2,
    "sampling": "weight",
}


@pytest.mark.parametrize("name", SHELL_METHODS)
def test_every_parameter_arrives(name):
    kind = SHELL_METHODS[name].kind
    given = {key: value for key, value in ALL.items() if key in SHELL_METHODS[name].takes}
    if name == "modified-local-gd":
        given["server"] = "anchored"
    if name == "fedavg":
        del given["local_steps"]
    built = method_of(method=name, **given)
    wanted = {
        "local_steps": (3, 2, 1, 5) if name != "fedavg" else None,
        "local_epochs": 3,
        "lr": lg.TwoStage(0.1, 1.0, 5),
        "batch_size": 2,
        "replacement": True,
        "mu": 0.5,
        "beta": 0.25,
        "fednova": False,
        "server": lg.Anchored() if name == "modified-local-gd" else lg.ServerSGD(0.5, 0.25),
        "participation": 2,
        "sampling": "weight",
    }
    fields = {field.name for field in dataclasses.fields(kind)}
    if "fednova" not in given:
        wanted["fednova"] = name != "fedavg"
    assert built == kind(**{key: value for key, value in wanted.items() if key in fields})


@pytest.mark.parametrize("setting", PARAMETERS)
def test_what_a_method_does_not_take_is_refused_with_those_that_do(setting):
    takers = [name for name, entry in SHELL_METHODS.items() if setting in entry.takes]
    for name in set(SHELL_METHODS) - set(takers):
        with pytest.raises(
            ValueError, match=f"^{setting}: got .*; {name} takes none; want"
        ) as raised:
            method_of(method=name, **{setting: ALL[setting]})
        assert all(taker in str(raised.value) for taker in takers)


def test_exact_solves():
    assert method_of(method="modified-local-gd", local_steps="exact") == lg.ModifiedLocalGD(None)
    with pytest.raises(ValueError, match=r"lr: got 1.0; local_steps 'exact' takes none"):
        method_of(method="modified-local-gd", local_steps="exact", lr=1.0)
    with pytest.raises(ValueError, match=r"'exact' for local-gd; want a number, or method modifie"):
        method_of(local_steps="exact")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "modified-local-gd", "server": "average"}, "has the server anchored: for"),
        ({"method": "fedprox", "replacement": True}, "want a batch_size as well"),
        ({"method": "gd", "pooled": True}, "pooled: nothing to compare gd with; want it only for"),
        ({"local_steps": "1,2", "pooled": True}, "pooled: nothing to compare local-gd with"),
        (
            {"method": "fedavg", "local_steps": 2, "local_epochs": 1},
            "local_epochs, local_steps: got both; want one",
        ),
        ({"method": "local-gd", "local_epochs": 1}, "local_epochs: got 1; local-gd takes none; wa"),
    ],
)
def test_combinations_that_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        method_of(**values)


@pytest.mark.parametrize(
    ("values", "compared"),
    [
        ({}, True),
        ({"method": "local-sgd"}, True),
        ({"method": "fedprox"}, True),
        ({"method": "scaffold"}, True),
        ({"method": "fedga"}, True),
        ({"method": "fedavg"}, None),
        ({"method": "fedavg", "local_steps": 3}, True),
        ({"method": "modified-local-gd"}, True),
        ({"method": "modified-local-gd", "local_steps": "exact"}, None),
        ({"local_steps": "1,2"}, None),
        ({"method": "gd"}, None),
        ({"method": "minibatch-sgd"}, None),
        ({"method": "local-solve"}, None),
        ({"method": "grad-align"}, None),
        ({"pooled": False}, False),
        ({"method": "gd", "pooled": False}, None),
    ],
)
def test_which_methods_are_compared_with_pooled_gd(values, compared):
    assert settle(Settings.from_values(values)).pooled is compared


# Runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHELL_METHODS)
def test_each_method_runs_without_options_and_is_repeated_by_its_file(here, capsys, name):
    write_csv(here / "rows.csv", sites=True)
    run = run_file(f"--method {name} --seed 3")
    wanted = lg.run(PROBLEM, PLAIN[name], rounds=3, seed=3)
    np.testing.assert_allclose(run.weights, wanted.weights, rtol=1e-12)
    assert run.config["method"] == wanted.config["method"]
    printed = capsys.readouterr().out
    assert ("angle to" in printed) and (("pooled GD" in printed) is (name in COMPARED))

    written = read_config("localgd-run/run.toml")
    epochs = {"local_steps"} if name == "fedavg" else set()  # in place of these
    assert set(written) & set(PARAMETERS) == set(SHELL_METHODS[name].takes) - epochs
    assert ("pooled" in written) is (name in COMPARED)
    assert main(["run", "--config", "localgd-run/run.toml", "-o", "again"]) == 0
    again = lg.load("again/run.npz")
    assert (again.weights == run.weights).all()
    assert again.config == run.config
    copy = Path("again/run.toml").read_text()
    assert copy.replace('"again"', '"localgd-run"') == Path("localgd-run/run.toml").read_text()


def test_parameters_reach_the_run(here, capsys):
    write_csv(here / "rows.csv", sites=True)
    run = run_file(
        "--method fedprox --local-steps 3,2,1,5 --lr 1/LH --mu 0.5 --batch-size 2 --replacement "
        "--server nesterov:0.7,0.5 --participation 2 --sampling weight --no-fednova --seed 5"
    )
    method = lg.FedProx(
        (3, 2, 1, 5),
        "1/(LH)",
        0.5,
        batch_size=2,
        replacement=True,
        server=lg.ServerSGD(0.7, 0.5, nesterov=True),
        participation=2,
        sampling="weight",
        fednova=False,
    )
    wanted = lg.run(PROBLEM, method, rounds=3, seed=5)
    np.testing.assert_allclose(run.weights, wanted.weights, rtol=1e-12)
    rate = 1 / (5 * lg.analysis.smoothness(PROBLEM, "exponential"))
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "FedProx, 1 to 5 local steps per round, batches of 2 drawn with replacement, "
        f"lr 1/(LH) = {rate:.6g}, mu 0.5, server nesterov:0.7,0.5, 2 clients per round drawn by "
        "weight, plain average, exponential loss, 3 rounds"
    ) in said


def test_one_seed_deals_and_draws(here):
    write_csv(here / "rows.csv", sites=True)
    options = "--method local-sgd --local-steps 4 --batch-size 2"
    weights = [run_file(f"{options} --seed {seed}").weights for seed in (1, 1, 2)]
    assert (weights[0] == weights[1]).all()
    assert (weights[0] != weights[2]).any()


def test_another_method_drops_the_parameters_of_the_file(here):
    write_csv(here / "rows.csv", sites=True)
    run_file("--method fedprox --local-steps 5 --mu 0.5 --lr 0.5")
    for name, wanted in {
        "local-sgd": lg.LocalSGD(5, 0.5),  # fedprox's full batches were its default
        "fedavg": lg.FedAvg(local_steps=5, lr=0.5),
        "scaffold": lg.Scaffold(5, 0.5),
        "modified-local-gd": lg.ModifiedLocalGD(5, 0.5),
        "gd": lg.GD(0.5),
        "local-solve": lg.LocalSolve(),
    }.items():
        settings = Settings.merged(read_config("localgd-run/run.toml"), {"method": name})
        assert build(settle(settings)) == wanted
    one_client = {"method": "fedprox", "participation": 1}
    assert Settings.merged(one_client, {"method": "scaffold"}).participation == 1
    exact = {"method": "modified-local-gd", "local_steps": "exact"}
    assert Settings.merged(exact, {"method": "local-gd"}).local_steps is None
    assert Settings.merged({"method": "gd", "mu": 0.5}, {"method": "scaffold"}).mu is None
    assert Settings.merged({"method": "gd", "mu": 0.5}, {"method": "fedprox"}).mu == 0.5
    with pytest.raises(ValueError, match=r"mu: got 0.5; gd takes none"):
        settle(Settings.merged({"method": "gd", "mu": 0.5}, {}))


@pytest.mark.parametrize("lr", ["1/H", "1/(LH)", 0.5])
def test_pooled_gd_takes_the_steps_of_any_method(lr):
    method = lg.Scaffold(6, lr)
    run = lg.run(PROBLEM, method, rounds=9, record=[4], loss="logistic", keep_weights=True)
    options = {"reference": None, "threads": 1, "memory_limit": 2**30, "progress": None}
    _, angles = angles_to_pooled(PROBLEM, method, run, **options)
    H = lg.analysis.smoothness(PROBLEM, "logistic")
    rate = {"1/H": 1 / H, "1/(LH)": 1 / (6 * H)}.get(lr, lr)
    assert list(angles) == [4, 9]
    for k, found in angles.items():
        local = lg.run(PROBLEM, method, rounds=k, loss="logistic")
        pooled = lg.run(PROBLEM, lg.GD(rate), rounds=6 * k, loss="logistic")
        assert found == pytest.approx(lg.angle(local.weights, pooled.weights), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--method fedsgd", "method: got 'fedsgd'; want one of 'gd', 'local-gd', 'local-sgd'"),
        ("--method gd --local-steps 3", "local_steps: got 3; gd takes none; want it only for"),
        ("--local-steps 1,2", "local_steps: got 2 numbers; want one, or one for each of 4 clients"),
        ("--participation 9", "participation: got 9 clients per round; the problem has 4"),
        ("--method local-solve --engine primal", "engine: got 'primal'; the exact local solve"),
        ("--server adam:1 --engine gram", "engine: got 'gram'; ServerAdam treats each coordinate"),
        ("--method grad-align --beta -1", "beta: got '-1'; want a number of at least 0"),
        ("--method local-sgd --batch-size 0", "batch_size: got '0'; want a whole number"),
    ],
)
def test_refusals_come_before_anything_is_written(here, capsys, arguments, message):
    write_csv(here / "rows.csv", sites=True)
    options = "--data rows.csv --client site --label y"
    assert main(["run", *options.split(), *arguments.split()]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"localgd: {message}")
    assert printed.count("\n") == 1
    assert not Path("localgd-run").exists()


def test_local_solves_of_a_client_that_is_not_separable(here, capsys):
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=20, n_features=3, seed=0)
    write_csv(here / "rows.csv", problem, sites=True)
    options = "--data rows.csv --client site --label y --method local-solve --rounds 5"
    assert main(["run", *options.split()]) == 2
    said = capsys.readouterr().err
    assert "rows of client 's0' are not linearly separable" in said
    assert "want a method with local steps" in said


# Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["run.prepare", "run.find_target", "commands.read_config"])
def test_ctrl_c_is_answered_wherever_it_comes(here, capsys, monkeypatch, place):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_csv(here / "rows.csv")
    (here / "my.toml").write_text('data = "rows.csv"\n')
    module, name = place.split(".")
    monkeypatch.setattr(importlib.import_module(f"localgd.cli.{module}"), name, interrupted)
    assert main(["run", "--config", "my.toml"]) == 130
    assert capsys.readouterr().err == "localgd: interrupted\n"


def test_ctrl_c_while_the_figure_is_drawn_leaves_the_rest(here, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_csv(here / "rows.csv")
    monkeypatch.setattr(importlib.import_module("localgd.cli.files"), "draw", interrupted)
    assert main("run --data rows.csv --rounds 3".split()) == 0
    assert "none: interrupted" in capsys.readouterr().out
    assert lg.load("localgd-run/run.npz").round == 3


@pytest.mark.parametrize(
    ("words", "method", "said"),
    [
        ("cyclic", {"participation": lg.Cyclic()}, "clients by cyclic"),
        (
            "periodic:2,5 --shares unbiased",
            {"participation": lg.Periodic(2, 5), "shares": "unbiased"},
            "clients by periodic:2,5, with unbiased shares",
        ),
        ("markov:0.2,0.3", {"participation": lg.Markov(0.2, 0.3)}, "clients by markov:0.2,0.3"),
        (
            "2 --shares unbiased",
            {"participation": 2, "shares": "unbiased"},
            "2 clients per round drawn uniformly, with unbiased shares",
        ),
    ],
)
def test_who_takes_part(here, capsys, words, method, said):
    write_csv(here / "rows.csv")
    options = f"--data rows.csv --clients 3 --scheme iid --rounds 9 --participation {words}"
    assert main(f"run {options} --weights equal --local-steps 4 --seed 3".split()) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert main(["run", "--config", "localgd-run/run.toml", "--out", "again"]) == 0
    saved, again = (lg.load(here / name / "run.npz") for name in ("localgd-run", "again"))
    X, y = lg.datasets.read(here / "rows.csv", label="y", header=True)
    problem = lg.partition(X, y, n_clients=3, seed=3, weights="equal")
    run = lg.run(problem, lg.LocalGD(4, "1/H", **method), rounds=9, seed=3)
    for found in (saved, again):
        np.testing.assert_array_equal(found.weights, run.weights)
        assert found.config["clients_per_round"] == run.config["clients_per_round"]


def test_biased_shares_and_rules_that_do_not_fit_are_said_in_a_line(here, capsys):
    write_csv(here / "rows.csv")
    options = "run --data rows.csv --clients 3 --scheme quantity:0.5 --rounds 3 --local-steps 2"
    assert main(f"{options} --participation cyclic".split()) == 0
    said = capsys.readouterr().err
    assert "the weights of those who take part are divided by their sum" in " ".join(said.split())
    assert main(f"{options} --participation cyclic:4".split()) == 2
    assert "want at most 3, the length of its order" in " ".join(capsys.readouterr().err.split())


def test_lambda_by_name(here, capsys):
    write_csv(here / "rows.csv")
    options = "run --data rows.csv --clients 3 --scheme iid --rounds 3 --loss logistic"
    assert main(f"{options} --l2 kappa=1e3 --lr 1/H".split()) == 0
    found = lg.load(here / "localgd-run" / "run.npz").config["l2"]
    assert found > 0
    assert f"logistic loss with l2 {found:g}" in " ".join(capsys.readouterr().out.split())
    assert main(["run", "--config", "localgd-run/run.toml", "--out", "again"]) == 0
    assert lg.load(here / "again" / "run.npz").config["l2"] == found
