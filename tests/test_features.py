"""Random features against their kernels; the layers of a module; the kernel of a linearisation."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

import localgd as lg

RNG = np.random.default_rng(4)
X = RNG.standard_normal((12, 6))
D = 200_000
ERROR = 6 / np.sqrt(D)  # of inner products of rows of size 1, in standard deviations at most


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def test_relu_features_have_the_arc_cosine_kernel():
    rows = unit(X)
    phi = lg.features.random_relu(rows, D, seed=3)
    theta = np.arccos(np.clip(rows @ rows.T, -1, 1))
    want = (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi
    assert np.abs(phi @ phi.T - want).max() < ERROR
    scaled = lg.features.random_relu(5 * rows, 50, seed=3)
    np.testing.assert_allclose(scaled, 5 * lg.features.random_relu(rows, 50, seed=3), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.3, 2.0])
def test_fourier_features_have_the_gaussian_kernel(gamma):
    rows = unit(X)
    phi = lg.features.random_fourier(rows, D, gamma=gamma, seed=3)
    distances = ((rows[:, None] - rows[None]) ** 2).sum(axis=-1)
    assert np.abs(phi @ phi.T - np.exp(-gamma * distances)).max() < 2 * ERROR


@pytest.mark.parametrize("of", [lg.features.random_relu, lg.features.random_fourier])
def test_the_same_map_for_other_rows_types_and_storages(of):
    phi = of(X, 30, seed=5)
    np.testing.assert_allclose(of(X[4:], 30, seed=5), phi[4:], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(of(sparse.csr_array(X), 30, seed=5), phi, rtol=1e-12, atol=1e-15)
    single = of(X.astype(np.float32), 30, seed=5)
    assert single.dtype == np.float32 and phi.dtype == np.float64
    np.testing.assert_allclose(single, phi, rtol=2e-5, atol=2e-6)
    assert not np.allclose(of(X, 30, seed=6), phi)
    for bad, error in (
        (lambda: of(X, 0), "n_features: got 0"),
        (lambda: of(X * np.nan, 3), "X: "),
        (lambda: of(X[0], 3), "X: "),
        (lambda: of(X, 3, seed=-1), "seed: got -1"),
    ):
        with pytest.raises(ValueError, match=error):
            bad()
    with pytest.raises(ValueError, match="gamma: got 0"):
        lg.features.random_fourier(X, 3, gamma=0)


# -- Modules ---------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def module(torch):
    layers = [torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(5, 2)]
    made = torch.nn.Sequential(*layers)
    made[0].eval()  # frozen by its owner
    return made


def test_layers_of_a_module(torch):
    made = module(torch)
    W, b = (p.detach().numpy().astype(np.float64) for p in made[0].parameters())
    V, c = (p.detach().numpy().astype(np.float64) for p in made[3].parameters())
    hidden = np.maximum(X @ W.T + b, 0)
    for layer, want in (("1", hidden), ("2", hidden), (None, hidden @ V.T + c)):
        for size in (1, 5, 100):
            got = lg.features.from_torch(made, X, layer=layer, batch_size=size)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert [part.training for part in made.modules()] == [True, False, True, True, True]
    assert not made[1]._forward_hooks
    assert lg.features.from_torch(made.double(), torch.as_tensor(X)).dtype == np.float64
    images = torch.nn.Conv2d(1, 3, 2)
    assert lg.features.from_torch(images, RNG.standard_normal((4, 1, 5, 5))).shape == (4, 48)


def test_modules_that_are_refused(torch):
    made = module(torch)
    for bad, error, match in (
        (lambda: lg.features.from_torch(len, X), TypeError, "want a torch.nn.Module"),
        (lambda: lg.features.from_torch(made, X, layer="7"), ValueError, "none named '7'"),
        (lambda: lg.features.from_torch(made, X[:0]), ValueError, "no inputs"),
        (lambda: lg.features.from_torch(made, X * np.inf), ValueError, "NaN or inf"),
        (lambda: lg.features.from_torch(torch.nn.LSTM(6, 2), X), TypeError, "a tuple"),
    ):
        with pytest.raises(error, match=match):
            bad()
    assert not made._forward_hooks


def test_without_torch(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(lg.MissingExtraError, match=r"localgd\[torch\]"):
        lg.features.from_torch(None, X)


# -- Tangent kernels -------------------------------------------------------------------------------


def trained(classes=2, **network):
    y = np.arange(12) % classes
    y = y if classes > 2 else 2 * y - 1
    clients = np.repeat([0, 1], 6)
    problem = lg.Problem.from_arrays(X, y, clients, intercept="column")
    return lg.run(
        problem,
        lg.LocalGD(3, 0.05),
        rounds=4,
        loss="softmax" if classes > 2 else "logistic",
        model=lg.TwoLayer(7, **network),
    ).model


@pytest.mark.parametrize("train", ["both", "first", "second"])
@pytest.mark.parametrize("activation", ["tanh", "softplus", "quadratic", "relu"])
@pytest.mark.parametrize("classes", [2, 3])
def test_tangent_kernel_by_differences(train, activation, classes):
    model = trained(classes, activation=activation, train=train, scale=1.5)
    rows, others, h = X[:4], X[4:9], 1e-6
    theta, split = model.parameters, model.first.size
    moved = {"both": (0, len(theta)), "first": (0, split), "second": (split, len(theta))}[train]

    def jacobian(of):
        columns = []
        for k in range(*moved):
            step = np.zeros_like(theta)
            step[k] = h
            up, down = (
                dataclasses.replace(model, parameters=theta + s * step).decision_function(of)
                for s in (1, -1)
            )
            columns.append((up - down) / (2 * h))
        return np.moveaxis(np.array(columns), 0, -1).reshape(len(of), -1)

    want = jacobian(rows) @ jacobian(others).T
    got = lg.analysis.tangent_kernel(model, rows, others)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    square = lg.analysis.tangent_kernel(model, X)
    assert (square == square.T).all()
    assert np.linalg.eigvalsh(square).min() > -1e-10


def test_lazy_networks_follow_their_kernel():
    """α (f - f_0) with the rate over α² is the kernel's model, the more so the larger α is."""
    y = np.where(X[:, 0] + 0.1 * X[:, 1] > 0, 1.0, -1.0)
    clients = np.repeat([0, 1, 2], 4)
    problem = lg.Problem.from_arrays(X, y, clients, task="regression")
    apart = []
    for scale in (10.0, 100.0, 1000.0):
        network = lg.TwoLayer(60, activation="tanh", scale=scale, centered=True)
        method = lg.LocalGD(5, 0.02 / scale**2)
        run = lg.run(problem, method, rounds=40, model=network, seed=2)
        start = lg.run(problem, method, rounds=0, model=network, seed=2).model
        K = lg.analysis.tangent_kernel(start, X) / scale**2
        kernel = lg.Problem.from_gram(K, y, clients, task="regression")
        linear = lg.run(kernel, lg.LocalGD(5, 0.02), rounds=40)
        want = kernel.X @ kernel.X.T @ linear.coefficients
        apart.append(np.abs(run.model.decision_function(X) - want).max() / np.abs(want).max())
    assert apart[0] > 5 * apart[1] > 25 * apart[2]
    assert apart[2] < 1e-4


def test_what_a_tangent_kernel_refuses():
    with pytest.raises(TypeError, match="model: got str"):
        lg.analysis.tangent_kernel("x", X)
    with pytest.raises(ValueError, match="X: "):
        lg.analysis.tangent_kernel(trained(), X[:, :3])
