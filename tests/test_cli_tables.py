"""``localgd run`` on tables whose columns are of any kind."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

import pandas as pd
from patients import HOSPITALS, patients
from test_cli import here

from localgd.cli import main
from localgd.cli.config import read_config
from localgd.cli.rows import prepare
from localgd.cli.settings import Settings

__all__ = ["here"]  # the fixture

OF_TABLE = {
    "data": "patients.csv",
    "label": "outcome",
    "client": "hospital",
    "positive": "yes",
    "categorical": "onehot",
    "scale": "standard",
}


def prepared(**settings):
    return prepare(Settings.from_values({**OF_TABLE, **settings}))


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "semicolons", "parquet", "spaces"])
def test_files_are_read_as_from_frame_takes_tables(here, kind):
    frame = patients(200)
    settings = {"data": f"patients.{kind}"}
    if kind == "parquet":
        frame.to_parquet(settings["data"])
    elif kind == "semicolons":
        settings = {"data": "patients.csv", "delimiter": ";", "decimal": ","}
        frame.to_csv(settings["data"], index=False, sep=";", decimal=",")
    elif kind == "spaces":
        settings = {"data": "patients.csv"}
        text = frame.to_csv(index=False, na_rep="?").replace(",", " , ")
        (here / "patients.csv").write_text(text)
        settings |= {"label": "outcome", "client": "hospital"}
    else:
        frame.to_csv(settings["data"], index=False)
    found = prepared(**settings).problem
    roles = {"label": "outcome", "client": "hospital", "positive": "yes"}
    wanted = lg.Problem.from_frame(frame, **roles)
    np.testing.assert_allclose(found.X, wanted.X, rtol=1e-6, atol=1e-6)  # pressure is float32
    np.testing.assert_array_equal(found.y, wanted.y)
    assert found.feature_names == wanted.feature_names
    assert found.labels == wanted.labels == ("no", "yes")
    assert list(found.client_ids) == HOSPITALS


def test_what_was_learned_is_of_the_rows_that_are_not_held_out(here):
    patients(400).to_csv("patients.csv", index=False)
    found = prepared(test=0.5)
    numbers = found.problem.X[:, :3]
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(numbers.std(axis=0), 1)
    assert not np.allclose(found.test[0][:, :3].mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [{"scale": "max_norm"}, {"scale": "spectral"}, {"intercept": "free"}, {"impute": "mean"}],
)
def test_the_run_of_a_table_predicts_of_tables(here, settings, capsys):
    frame = patients(300)
    frame.to_csv("patients.csv", index=False)
    settings = {**OF_TABLE, **settings}
    words = [f"--{name}={value}" for name, value in settings.items() if value not in (None, True)]
    words += [f"--{name}" for name, value in settings.items() if value is True]
    options = ["--loss=logistic", "--l2=0.01", "--rounds=20", "--no-pooled", "--no-reference"]
    assert main(["run", *words, *options]) == 0
    run = lg.load(here / "localgd-run" / "run.npz")
    problem = prepare(Settings.from_values(settings)).problem
    table = pd.read_csv("patients.csv")
    scores = problem.X @ run.weights
    np.testing.assert_allclose(run.decision_function(table)[problem.row_order], scores, atol=1e-12)
    capsys.readouterr()
    assert main(["run", "--config", str(here / "localgd-run" / "run.toml")]) == 0


def test_columns_are_left_out_or_taken_for_categories_by_name(here):
    frame = patients(200).assign(id=[f"p{k}" for k in range(200)])
    frame.to_csv("patients.csv", index=False)
    names = prepared(drop="id, pressure", categorical="visits").problem.feature_names
    assert "pressure" not in names
    assert {"visits_0", "visits_1", "smoker_yes"} <= set(names)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "column 'age': no value (--categorical onehot takes texts, --impute median fills"),
        (
            ["--categorical=onehot", "--drop=ag"],
            "drop: there is no feature 'ag' in patients.csv; did",
        ),
        (
            ["--categorical=Smoker"],
            "categorical: there is no feature 'Smoker' in patients.csv; did you m",
        ),
        (["--label=outcom"], "label: no column 'outcom' in patients.csv; it has"),
        (["--label=outcom"], ": did you mean 'outcome'?"),
        (["--delimiter=;"], "is the delimiter right? --delimiter ; reads another"),
        (
            ["--impute=median", "--positive=Yes"],
            "positive: there is no label 'Yes'; did you mean 'yes'?",
        ),
        (["--impute=median", "--scale=rows"], "scale: got 'rows' with categorical, impute or drop"),
        (["--impute=mode"], "impute: got 'mode'; want one of"),
    ],
)
def test_refusals_name_the_option_and_the_cure(here, capsys, words, said):
    frame = patients(100)
    frame.loc[0, "age"] = None
    frame.to_csv("patients.csv", index=False)
    words = ["--data=patients.csv", "--label=outcome", "--client=hospital", *words]
    assert main(["run", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_columns_of_times_and_of_ids_are_refused_with_the_option_that_leaves_them_out(here, capsys):
    table = patients(100).assign(id=[f"p{k}" for k in range(100)], day="2024-05-17")
    table.to_csv("patients.csv", index=False)
    words = ["--data=patients.csv", "--label=outcome", "--client=hospital", "--categorical=onehot"]
    for drop, wrong in ("id", "'day' holds times"), ("day", "'id' holds 100 different texts"):
        assert main(["run", *words, f"--drop={drop}"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert wrong in said and "(--drop NAME leaves a column out)" in said


def test_lines_of_another_length_are_named(here, capsys):
    text = patients(20).to_csv(index=False).splitlines()
    text[5] += ",1"
    with gzip.open("rows.csv.gz", "wt") as stream:
        stream.write("\n".join(text))
    assert main(["run", "--data=rows.csv.gz", "--label=outcome", "--impute=median"]) == 2
    assert "rows.csv.gz line 6: 9 cells; line 1 has 8" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["mnist", "rows.npz"])
def test_only_tables_have_columns(here, capsys, data):
    np.savez("rows.npz", X=np.eye(2), y=[0, 1])
    assert main(["run", f"--data={data}", "--impute=median"]) == 2
    assert "impute" in capsys.readouterr().err


def test_the_old_name_of_scaling_is_read_in_files_and_answered_as_option(here, capsys):
    main(["run", "--data=digits", "--no-normalize"])
    assert "--no-normalize: it is --scale none now, and FedNova's average is --fednova" in (
        capsys.readouterr().err
    )
    main(["run", "--data=digits", "--normalize"])
    assert "--normalize: it is --scale max_norm now" in capsys.readouterr().err
    for line, scale in (("normalize = false", "none"), ("normalize = true", "max_norm")):
        (here / "old.toml").write_text(f'data = "digits"\n{line}\n')
        assert read_config("old.toml")["scale"] == scale
    (here / "old.toml").write_text('normalize = true\nscale = "rows"\n')
    assert read_config("old.toml")["scale"] == "rows"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_of_the_type_of_the_rows_as_in_python(here, dtype):
    X = np.random.default_rng(0).standard_normal((12, 4)).astype(dtype)
    np.savez("rows.npz", X=X, y=np.arange(12) % 2)
    options = ["--clients=2", "--scheme=iid", "--rounds=5", "--no-pooled"]
    assert main(["run", "--data=rows.npz", *options]) == 0
    assert lg.load(here / "localgd-run" / "run.npz").config["dtype"] == dtype


def test_a_run_of_the_last_column_as_label_is_evaluated_with_labels(here):
    frame = patients(200)
    frame.to_csv("patients.csv", index=False)
    words = ["--data=patients.csv", "--client=hospital", "--categorical=onehot", "--rounds=5"]
    assert main(["run", *words, "--loss=logistic", "--l2=0.01", "--no-pooled"]) == 0
    run, table = lg.load(here / "localgd-run" / "run.npz"), pd.read_csv("patients.csv")
    with pytest.raises(ValueError, match="y: got None; want a label for each row"):
        lg.evaluate(run, table)
    found = lg.evaluate(run, table, table["outcome"], bootstrap=0)
    assert found.columns["client"][3] == HOSPITALS[0]
