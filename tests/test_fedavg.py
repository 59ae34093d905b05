"""FedAvg in the words of its paper: epochs, p_i = n_i/N, and no other weights."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

PROBLEM = lg.datasets.make_separable(n_clients=3, n_samples=[4, 9, 10], n_features=30, seed=0)
SETTINGS = {"rounds": 7, "loss": "logistic", "seed": 3}


@pytest.mark.parametrize(
    ("epochs", "batch_size", "steps"),
    [(1, None, 1), (3, None, 3), (2, 4, (2, 6, 6)), (1, 3, (2, 3, 4)), (1, 100, 1)],
)
def test_epochs_are_as_many_steps_on_batches(epochs, batch_size, steps):
    method = lg.FedAvg(local_epochs=epochs, lr=0.3, batch_size=batch_size)
    assert method.on(PROBLEM.sizes).local_steps == steps
    run = lg.run(PROBLEM, method, **SETTINGS)
    same = lg.LocalSGD(steps, 0.3, batch_size=batch_size, fednova=False)
    wanted = lg.run(PROBLEM, same, **SETTINGS)
    np.testing.assert_array_equal(run.weights, wanted.weights)
    np.testing.assert_array_equal(run.history["loss"], wanted.history["loss"])


def test_an_epoch_sees_every_row_once():
    """One round of one epoch with batches of 1 at a tiny rate is the sum of the gradients."""
    lr = 1e-7
    run = lg.run(PROBLEM, lg.FedAvg(local_epochs=1, lr=lr, batch_size=1), rounds=1, loss="logistic")
    Z, p = PROBLEM.signed_rows, PROBLEM.weights
    change = sum(p[i] * 0.5 * Z[PROBLEM.rows(i)].sum(axis=0) for i in range(3))
    np.testing.assert_allclose(run.weights / lr, change, rtol=1e-5)


def test_the_mean_is_by_rows_and_not_that_of_fednova():
    method = lg.FedAvg(local_steps=(1, 5, 20), lr=0.5)
    run = lg.run(PROBLEM, method, **SETTINGS)
    plain, nova = (
        lg.run(PROBLEM, lg.LocalGD((1, 5, 20), 0.5, fednova=fednova), **SETTINGS).weights
        for fednova in (False, True)
    )
    np.testing.assert_allclose(run.weights, plain, rtol=1e-12)
    assert not np.allclose(run.weights, nova, rtol=1e-3)


def test_a_sweep_takes_epochs():
    method = lg.FedAvg(local_epochs=1, lr=0.3, batch_size=3)
    table = lg.sweep(PROBLEM, method, grid={"local_epochs": [1, 2]}, **SETTINGS)
    alone = lg.run(PROBLEM, lg.FedAvg(local_epochs=2, lr=0.3, batch_size=3), **SETTINGS)
    assert [entry.status for entry in table] == ["completed"] * 2
    np.testing.assert_array_equal(table.entries[1].history["loss"], alone.history["loss"])
    assert [entry.values["local_epochs"] for entry in table] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "local_epochs, local_steps: got neither; want one"),
        ({"local_epochs": 1, "local_steps": 1}, "local_epochs, local_steps: got both; want one"),
        ({"local_epochs": 0}, "local_epochs: got 0; want an integer of at least 1"),
        ({"local_steps": 0}, "local_steps: got 0"),
        ({"local_epochs": 1, "fednova": True}, "fednova: got True, which FedAvg has not; want"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        lg.FedAvg(lr=0.1, **arguments)
    with pytest.raises(ValueError, match=r"local_epochs: .* want method\.on\(problem\.sizes\)"):
        _ = lg.FedAvg(local_epochs=1, lr=0.1).rule
