"""The estimators are what scikit-learn asks of one, and what localgd says of them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from shared_data import shared_set
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import localgd as lg
from localgd.sklearn import FederatedClassifier, FederatedRegressor

# Weights of rows are compared with repeated rows to 1e-7, so the minimum must be as near.
EXACT = {"tol": 1e-10, "l2": 0.1, "n_clients": 3}


# Some checks have rows at a mean of 100, for which so small a gradient takes more rounds.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([FederatedClassifier(**EXACT), FederatedRegressor(**EXACT)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def rows_of(n_classes=2, n=120, d=4, seed=0):
    """Rows, labels that no model tells all of, and clients with different shares of them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    X = rng.standard_normal((n, d)) + y[:, None] * np.linspace(1, -1, d)
    clients = np.where(rng.random(n) < 0.6, y, rng.integers(0, 5, n))
    return X, y, clients


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


def pooled_logistic(X, y, l2, **options):
    model = LogisticRegression(C=1 / (l2 * X.shape[0]), tol=1e-12, **options).fit(X, y)
    return np.column_stack([model.coef_, model.intercept_]) if model.fit_intercept else model.coef_


@pytest.mark.parametrize("method", ["Scaffold", "GD"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_minimiser_is_that_of_pooled_logistic_regression(method, n_classes):
    X, y, clients = rows_of(n_classes)
    model = FederatedClassifier(method, l2=0.03, tol=1e-11).fit(X, y, clients)
    wanted = pooled_logistic(X, y, 0.03, max_iter=10_000, solver="newton-cg")
    found = np.column_stack([model.coef_, model.intercept_])
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    assert model.coef_.shape == (1 if n_classes == 2 else 3, 4)


def test_local_steps_without_corrections_stop_elsewhere():
    X, y, clients = rows_of()
    model = FederatedClassifier("LocalGD", l2=0.03, tol=None, rounds=1000).fit(X, y, clients)
    wanted = pooled_logistic(X, y, 0.03)
    assert abs(np.append(model.coef_, model.intercept_) - wanted).max() > 1e-3


def test_the_minimiser_of_numbers_is_that_of_ridge():
    X, _, clients = rows_of()
    y = X @ [1.0, -2.0, 0.5, 0.0] + np.sin(np.arange(len(X)))
    model = FederatedRegressor(l2=0.03, tol=1e-11).fit(X, y, clients)
    pooled = Ridge(alpha=0.03 * len(X)).fit(X, y)
    wanted = np.append(pooled.coef_, pooled.intercept_)
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), wanted, atol=1e-9)
    assert model.coef_.shape == (4,) and np.ndim(model.intercept_) == 0
    np.testing.assert_allclose(model.predict(X), with_ones(X) @ wanted, atol=1e-8)


def test_the_minimiser_of_counts_is_that_of_poisson_regression():
    X, _, clients = rows_of()
    y = np.random.default_rng(0).poisson(np.exp(0.3 * X[:, 0] + 0.5))
    model = FederatedRegressor(loss="poisson", lr=0.05, l2=0.03, tol=1e-10).fit(X, y, clients)
    wanted = PoissonRegressor(alpha=0.03, tol=1e-12, solver="newton-cholesky")
    predicted = wanted.fit(X, y).predict(X)
    np.testing.assert_allclose(model.predict(X), predicted, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a9a", "w8a", "phishing", "mushrooms"])
def test_real_sets_have_the_minimiser_of_pooled_logistic_regression(name):
    X, y = shared_set(name)
    l2 = 1e-2
    clients = np.arange(len(y)) * 10 // len(y)
    model = FederatedClassifier(l2=l2, tol=1e-11, rounds=100_000, fit_intercept=False)
    model.fit(X, y, clients)
    wanted = pooled_logistic(X, y, l2, max_iter=1000, solver="newton-cg")
    np.testing.assert_allclose(model.coef_, wanted, atol=1e-8)


def test_what_is_fitted_is_the_run_of_the_same_problem():
    X, y, clients = rows_of()
    texts = np.array(["no", "yes"])[y]
    method = lg.LocalSGD(5, 0.1, batch_size=3)
    model = FederatedClassifier(
        method, tol=None, rounds=20, l2=0.01, class_weight="balanced", random_state=7
    ).fit(X, texts, clients)
    problem = lg.Problem.from_arrays(X, texts, clients, class_weight="balanced", intercept="free")
    run = lg.run(problem, method, rounds=20, loss="logistic", l2=0.01, seed=7)
    assert (model.run_.weights == run.weights).all() and model.n_iter_ == 20
    assert (np.append(model.coef_, model.intercept_) == run.weights).all()
    assert model.predict(X).tolist() == run.predict(X).tolist() == model.run_.predict(X).tolist()
    np.testing.assert_allclose(model.predict_proba(X), run.predict_proba(X))
    assert model.classes_.tolist() == ["no", "yes"]


def test_rows_are_dealt_by_the_scheme():
    X, y, _ = rows_of()
    scheme = lg.Dirichlet(0.3)
    model = FederatedClassifier(n_clients=4, scheme=scheme, rounds=9, tol=None, random_state=3)
    problem = lg.partition(X, y, n_clients=4, scheme=scheme, seed=3, intercept="free")
    run = lg.run(problem, lg.Scaffold(10, "1/H"), rounds=9, loss="logistic", l2=1e-3, seed=3)
    assert (model.fit(X, y).run_.weights == run.weights).all()
    drawn = [model.set_params(random_state=np.random.RandomState(5)).fit(X, y) for _ in range(2)]
    assert (drawn[0].coef_ == drawn[1].coef_).all()


@pytest.mark.parametrize("kind", [csr_array, pd.DataFrame, lambda X: X.astype(np.float32)])
def test_rows_of_other_kinds(kind):
    X, y, clients = rows_of()
    model = FederatedClassifier().fit(X, y, clients)
    other = FederatedClassifier().fit(kind(X), pd.Series(y), pd.Series(clients))
    np.testing.assert_allclose(other.coef_, model.coef_, rtol=1e-4)
    np.testing.assert_allclose(
        other.decision_function(kind(X)), model.decision_function(X), atol=1e-3
    )


def patients(n=150):
    """A table with texts and gaps, outcomes, and the hospital of each row."""
    rng = np.random.default_rng(0)
    age, smokes = rng.normal(60, 10, n), rng.choice(["never", "once", "daily"], n)
    ill = rng.random(n) < 1 / (1 + np.exp(-(age - 60) / 5 - 2 * (smokes == "daily")))
    age[::7] = np.nan
    hospital = rng.choice(["east", "north", "south", "west"], n)
    return pd.DataFrame({"age": age, "smokes": smokes}), np.where(ill, "ill", "well"), hospital


def test_a_pipeline_is_cross_validated_by_hospital():
    X, y, hospital = patients()
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model = FederatedClassifier().set_fit_request(clients=True)
        found = cross_validate(
            make_pipeline(prepare, model),
            X,
            y,
            cv=GroupKFold(4),
            params={"clients": hospital, "groups": hospital},
            return_estimator=True,
        )
        searched = GridSearchCV(
            make_pipeline(prepare, model), {"federatedclassifier__l2": [1, 1e-2]}
        )
        searched.fit(X, y, clients=hospital)
    assert found["test_score"].mean() > 0.6
    fitted = [pipe[-1].run_.config["problem"]["n_clients"] for pipe in found["estimator"]]
    assert fitted == [3, 3, 3, 3]
    best = searched.best_estimator_
    assert best[-1].run_.config["problem"]["n_clients"] == 4
    assert best[:-1].set_output(transform="pandas") is not None


def test_a_pipeline_of_named_columns():
    X, y, clients = rows_of()
    table = pd.DataFrame(X, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), FederatedClassifier())
    pipe.fit(table, y, federatedclassifier__clients=clients)
    assert pipe[-1].feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        pipe[-1].predict(table[list("dcba")])


def test_calibration():
    X, y, _ = rows_of()
    model = CalibratedClassifierCV(FederatedClassifier(n_clients=3), cv=3).fit(X, y)
    assert model.score(X, y) > 0.8
    margins = FederatedClassifier(loss="squared_hinge", n_clients=3)
    assert not hasattr(margins, "predict_proba")
    assert CalibratedClassifierCV(margins, cv=3).fit(X, y).score(X, y) > 0.8


def test_models_are_copied_and_pickled():
    X, y, clients = rows_of()
    model = clone(FederatedClassifier(lg.Scaffold(3, 0.1), weights="equal")).fit(X, y, clients)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert again.get_params() == model.get_params()


def test_it_says_when_the_minimum_is_not_reached():
    X, y, clients = rows_of()
    with pytest.warns(ConvergenceWarning, match="after 5 rounds .* tol=0.0001"):
        FederatedClassifier(rounds=5).fit(X, y, clients)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "Adam"}, "method: got 'Adam'; want 'GD', 'LocalGD'"),
        ({"method": "FedProx"}, r"method: FedProx wants mu, too: give an instance, lg\.FedProx"),
        ({"method": "gd", "local_steps": 3}, "local_steps: got 3; GD takes none"),
        ({"method": lg.GD(0.1), "lr": 0.2}, "lr: got 0.2 beside method=GD"),
        ({"n_clients": 0}, "n_clients: got 0; want an integer of at least 1"),
        ({"loss": "softmax"}, "loss: .*softmax"),
        ({"scheme": lg.ByClass(1), "n_clients": 1}, "ByClass"),
    ],
)
def test_parameters_are_refused_by_name(parameters, message):
    X, y, _ = rows_of()
    with pytest.raises(ValueError, match=message):
        FederatedClassifier(**parameters).fit(X, y)


def test_what_cannot_be_trained_is_refused():
    X, y, clients = rows_of()
    with pytest.raises(TypeError, match="method: got 3"):
        FederatedClassifier(3).fit(X, y)
    with pytest.raises(ValueError, match="one class only"):
        FederatedClassifier().fit(X, np.ones(len(X)))
    with pytest.raises(ValueError, match="clients: got shape"):
        FederatedClassifier().fit(X, y, clients[:-1])
    with pytest.raises(lg.DivergedError):
        FederatedRegressor("GD", lr=100.0).fit(X, y, clients)


def test_methods_are_known_by_their_names_here_and_on_the_shell():
    X, y, clients = rows_of()
    fits = [
        FederatedClassifier(name, tol=None, rounds=5).fit(X, y, clients).coef_
        for name in ("local-gd", "LocalGD", "local_gd", "FedAvg")
    ]
    assert all((fits[0] == other).all() for other in fits[1:])


def test_scikit_learn_is_loaded_when_asked_for(run_python):
    done = run_python(
        "import sys, localgd\n"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)\n"
        "sys.modules['sklearn'] = None\n"
        "try:\n    import localgd.sklearn\n"
        "except localgd.MissingExtraError as error:\n    print(error)\n"
    )
    assert done.stdout == "localgd.sklearn needs sklearn: pip install 'localgd[data]'\n", (
        done.stderr
    )
