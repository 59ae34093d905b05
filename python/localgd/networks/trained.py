"""The network that a run has trained."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from ..losses import LOSSES
from ..predicting import labels_of, probabilities_of, rows_of
from ..rows import Rows, as_double
from ..writing import replaced
from .two_layer import TwoLayer, layers_of, outputs_of

__all__ = ["TrainedNetwork"]


@dataclass(frozen=True, eq=False, repr=False)
class TrainedNetwork:
    """A two-layer network with its parameters: ``Run.model``.

    ``f(x) = s Vᵀ σ(Wᵀ x)``, or ``s (f - f_0)`` if it is centered

    Attributes
    ----------
    network : TwoLayer
        σ, s and the rest.
    parameters : ndarray of shape (h (d + C),)
        W and V, row by row.
    problem : dict
        What is known of the problem, as ``Run.config`` has it.
    loss : str
    start : ndarray of shape (h (d + C),) or None
        θ_0, of a centered network.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=5, lr=0.1), rounds=50,
    ...              model=lg.TwoLayer(hidden=8))
    >>> run.model.first.shape, run.model.second.shape
    ((20, 8), (8, 1))
    """

    network: TwoLayer
    parameters: np.ndarray
    problem: dict[str, Any]  # as in the config of a run
    loss: str
    start: np.ndarray | None = None

    def __repr__(self) -> str:
        d, h = self.first.shape
        return f"TrainedNetwork({d} → {h} {self.network.activation} → {self.second.shape[1]})"

    @property
    def first(self) -> np.ndarray:
        """W (d, h); its last row is the bias where the problem had an intercept."""
        return self._layers[0]

    @property
    def second(self) -> np.ndarray:
        """V (h, C); C = 1 but for several classes or targets."""
        return self._layers[1]

    @cached_property
    def _layers(self) -> tuple[np.ndarray, np.ndarray]:
        return layers_of(self.network, self.parameters, self.problem["n_features"])

    def decision_function(self, X: Any) -> np.ndarray:
        """The outputs of the network.

        ``s Vᵀ σ(Wᵀ x)``, less that of the start if it is centered

        Parameters
        ----------
        X : array of shape (n, d)
            Rows of any kind that the problem takes, without a column of ones.

        Returns
        -------
        ndarray of shape (n,), or (n, C) for several classes or targets
            Beyond 0 for the label +1; the largest is that of the likeliest class.

        Raises
        ------
        ValueError
            For rows of another width, NaN or inf.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.1), rounds=5, model=lg.TwoLayer(hidden=8))
        >>> run.model.decision_function(problem.X).shape
        (10,)
        """
        return self._scores(as_double(rows_of(self.problem, X)))

    def _scores(self, X: Rows) -> np.ndarray:
        """The same of float64 rows that have what the problem's have."""
        u = outputs_of(self.network, self.parameters, X)
        if self.start is not None:
            u = u - outputs_of(self.network, self.start, X)
        several = self.problem["task"] == "multiclass" or "n_outputs" in self.problem
        return u if several else u[:, 0]

    def predict(self, X: Any) -> np.ndarray:
        """The labels of other rows, or their targets in regression.

        ``sign(f(x))``, ``argmax_c f_c(x)`` or ``f(x)``, with the Poisson loss ``e^{f(x)}``

        Parameters
        ----------
        X : array of shape (n, d)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n,), or (n, C) for several targets
            Labels as those that the problem was made from, or float64 numbers.

        Raises
        ------
        ValueError
            As :meth:`decision_function`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.5), rounds=100, model=lg.TwoLayer(hidden=8))
        >>> bool((run.model.predict(problem.X) == problem.y).all())
        True
        """
        return labels_of(LOSSES[self.loss].means(self.decision_function(X)), self.problem)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the labels of other rows.

        ``P(y = +1 | x) = 1/(1 + exp(-f(x)))``, or the softmax of ``f(x)``

        Parameters
        ----------
        X : array of shape (n, d)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n, 2) or (n, C)
            Of the labels in the order of ``problem.labels``.

        Raises
        ------
        ValueError
            As :meth:`decision_function`.
        UnsupportedError
            For a loss other than logistic and softmax.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.1), rounds=5, loss="logistic",
        ...              model=lg.TwoLayer(hidden=8))
        >>> run.model.predict_proba(problem.X).sum(axis=1).round(12).tolist() == [1.0] * 10
        True
        """
        return probabilities_of(self.decision_function(X), self.loss)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The two layers by name.

        ``{"first": W, "second": V}``

        Returns
        -------
        dict of str to ndarray
            Copies of W (d, h) and V (h, C), float64.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.1), rounds=5, model=lg.TwoLayer(hidden=8))
        >>> {name: array.shape for name, array in run.model.to_arrays().items()}
        {'first': (20, 8), 'second': (8, 1)}
        """
        return {"first": self.first.copy(), "second": self.second.copy()}

    def state_dict(self) -> dict[str, Any]:
        """The parameters as PyTorch has them, of linear, activation, linear in a Sequential.

        ``0.weight = Wᵀ, 0.bias, 2.weight = s Vᵀ``

        Returns
        -------
        dict of str to torch.Tensor
            For ``torch.nn.Sequential(Linear(d, h), activation, Linear(h, C, bias=False))``;
            ``0.bias`` is there only if the problem had an intercept, "column" or "free".

        Raises
        ------
        MissingExtraError
            If PyTorch is not installed.
        ValueError
            For a centered network, which is no such module.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.1), rounds=5, model=lg.TwoLayer(hidden=8))
        >>> run.model.state_dict()["0.weight"].shape  # doctest: +SKIP
        torch.Size([8, 20])
        """
        if self.start is not None:
            raise ValueError("state_dict: a centered network is a difference of two modules")
        torch = check.require("torch", "torch", "TrainedNetwork.state_dict")
        W, bias = self.first, None
        if self.problem.get("intercept", "none") != "none":
            W, bias = W[:-1], W[-1]
        found = {"0.weight": torch.tensor(W.T.copy())}
        if bias is not None:
            found["0.bias"] = torch.tensor(bias.copy())
        return {**found, "2.weight": torch.tensor(self.network.scale * self.second.T)}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the two layers to an NPZ file.

        ``np.load(path)["first"] = W``, and ``"second"`` V

        Parameters
        ----------
        path : path
            The file; the suffix ``.npz`` is added if it is missing.

        Returns
        -------
        Path
            The file written. :meth:`localgd.Run.save` keeps all that predictions take.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import localgd as lg, numpy as np, pathlib, tempfile
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=0.1), rounds=5, model=lg.TwoLayer(hidden=8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with np.load(run.model.save(pathlib.Path(folder) / "model")) as layers:
        ...         bool((layers["first"] == run.model.first).all())
        True
        """
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        with replaced(path) as file:
            np.savez(file, **self.to_arrays())  # type: ignore[arg-type]
        return path


def network_of(
    weights: np.ndarray, config: dict[str, Any], start: np.ndarray | None
) -> TrainedNetwork:
    """That of a run, from what the run keeps."""
    names = [field.name for field in fields(TwoLayer)]
    network = TwoLayer(**{name: config["model"][name] for name in names})
    return TrainedNetwork(network, weights, config["problem"], config["loss"], start)
