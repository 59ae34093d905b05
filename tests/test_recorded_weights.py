"""The models of the records, where a run is asked to keep them."""

import numpy as np
import pytest

import localgd as lg


@pytest.fixture
def problem():
    return lg.datasets.make_separable(n_clients=3, n_samples=[2, 5, 9], n_features=20, seed=1)


@pytest.mark.parametrize("engine", ["gram", "hybrid", "primal"])
def test_each_record_is_the_model_of_a_run_that_ends_there(problem, engine):
    method = lg.LocalGD(local_steps=7, lr=0.5)
    run = lg.run(problem, method, rounds=50, record=[3, 20], engine=engine, keep_weights=True)
    assert run.recorded_weights.shape == (4, 20)
    for k, w in zip(run.history["round"].tolist(), run.recorded_weights, strict=True):
        short = lg.run(problem, method, rounds=k, engine=engine)
        np.testing.assert_array_equal(w, short.weights)


def test_not_kept_unless_asked_for(problem):
    assert lg.run(problem, lg.GD(lr=0.5), rounds=5).recorded_weights is None
    with pytest.raises(TypeError, match="keep_weights: got 1; want True or False"):
        lg.run(problem, lg.GD(lr=0.5), rounds=5, keep_weights=1)


def test_kept_over_save_and_checkpoint(problem, tmp_path):
    method = lg.LocalGD(local_steps=7, lr=0.5)
    options = {"keep_weights": True, "engine": "gram"}
    whole = lg.run(problem, method, rounds=100, **options)
    for rounds in (10, 100):  # both are on the schedule of the whole run
        run = lg.run(problem, method, rounds=rounds, checkpoint=tmp_path / "state.npz", **options)
    again = lg.load(run.save(tmp_path / "run.npz"))
    np.testing.assert_array_equal(again.recorded_weights, whole.recorded_weights)
    assert again.history.keys() == whole.history.keys()
    with pytest.raises(ValueError, match=r"belongs to another run .*keep_weights"):
        lg.run(problem, method, rounds=100, engine="gram", checkpoint=tmp_path / "state.npz")
