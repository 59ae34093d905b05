"""The result of a run: the model, its history, and how it was made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validation as check
from .configuration import make_config
from .errors import DivergedError
from .history import History, columns
from .losses import LOSSES
from .measuring import COLUMNS
from .predicting import labels_of, probabilities_of, scores_of
from .preparation import Preparation
from .recording import LogSpaced
from .source import call, described
from .writing import probed, replaced

if TYPE_CHECKING:
    from .networks.trained import TrainedNetwork

__all__ = ["Run", "ending", "load", "make_run"]

# Of arguments whose values a config holds.
DEFAULTS = {"l2": 0.0, "engine": "auto", "dtype": "float64", "seed": 0, "every_step": False}
OF_ROUNDS = ("engine", "dtype", "every_step")  # which fast_forward has not
FORMAT = 2  # of saved runs
ARRAYS = ("weights", "coefficients", "recorded_weights", "start")  # some of which a run has


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    r"""What :func:`localgd.run` gives back.

    ``w_round = w_0 + Aᵀ a`` with the coefficients a of the signed rows (classification losses) or
    plain rows (squared loss) A; with λ, which pulls w_0 to 0, too, for ``w_0 = 0``.

    Attributes
    ----------
    weights : ndarray of shape (d,) or (d, C), float64, or None
        The global model after ``round`` rounds; None for a kernel problem, which has none. Of a
        network its parameters θ = (W, V), row by row in one vector, which ``model`` takes apart.
    coefficients : ndarray of shape (N,) or (N, C), float64, or None
        a, in the row order of the problem; None after a coordinate-wise server (Adam, Yogi,
        Adagrad), which leaves the span of the rows, with λ in the engines hybrid and primal, and of
        clients that share their rows.
    history : dict of str to ndarray
        One column per measure, one entry per recorded round: ``round`` (int64); ``local_steps``
        since the start (per client; the weighted mean where clients differ); ``loss`` f(w_k), and
        ``log_loss``, its logarithm, which is right where f is below the range of numbers;
        ``margin``, the smallest over rows j: z_j·w_k/‖w_k‖, or for several classes
        (W_{y_j} - W_c)·x_j/‖W‖ (not for regression; NaN while w_k = 0); ``norm`` ‖w_k‖; with a
        reference, ``angle`` to it in radians (NaN while w_k = 0); ``drift``
        Σ p̃_i‖w_{k-1,i} - w_k‖² of the round that led to w_k (NaN for k = 0); of the clients'
        gradients at w_k ``grad_norm`` ‖∇f‖, ``grad_variance`` Σ p_i‖∇f_i - ∇f‖², ``grad_alignment``
        Σ p_i cos(∇f_i, ∇f) and ``grad_dissimilarity`` Σ p_i‖∇f_i‖²/‖∇f‖²; ``passes`` over all rows
        that gradients took since the start (not for exact solves; in the mean, where clients that
        differ take part by chance); ``bytes`` that clients and server exchanged since the start,
        and ``bits``, of these ``bits_up`` to the server and ``bits_down`` from it; with the
        minimiser of the objective as reference ``suboptimality`` f(w_k) - f* and ``distance``
        ‖w_k - w*‖; and the further measures that the run was asked for. Of a network θ stands
        for w; ``margin`` is min_j y_j f(x_j)/‖θ‖^D where f is homogeneous of degree D, and there
        are ``alignment_angle``, that between θ and -∇f(θ), ``accuracy`` on the rows, and
        ``balancedness`` max_k \|‖w_k‖² - (D - 1)‖v_k‖²\| over the hidden units; with another run
        as reference ``angle`` between the parameters of both, ``output_distance`` ‖u - u'‖/‖u'‖ of
        the outputs u on the rows from those of the reference, and ``agreement``, the share of rows
        for which both predict the same, with ``test_agreement`` on held-out rows.
    config : dict
        The settings, as plain values that JSON and TOML can hold.
    engine : str
        "gram", "hybrid" or "primal".
    threads : int
    elapsed : float
        Seconds, over all sessions of a run that was resumed from a checkpoint.
    status : str
        "completed", which a run is, too, whose ``stop`` came true; "stopped" by ``callback``;
        "interrupted" or "diverged".
    round : int
        The last whole round.
    shortened : int
        Rounds all of whose local steps were extrapolated from fewer, to rounding; see
        ``every_step`` of :func:`localgd.run`.
    message : str
        What happened and what to do, for a run that was not completed.
    recorded_weights : ndarray of shape (records, d) or (records, d, C), float64, or None
        w_k of every record, if the run was asked to keep them.
    start : ndarray of shape (h (d + C),) or None
        θ_0, of a centered network.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=100)
    >>> run.status, run.round, run.history["round"][-1].item()
    ('completed', 100, 100)
    """

    weights: np.ndarray | None
    coefficients: np.ndarray | None
    history: dict[str, np.ndarray]
    config: dict[str, Any]
    engine: str
    threads: int
    elapsed: float
    status: str
    round: int
    message: str = ""
    shortened: int = 0
    recorded_weights: np.ndarray | None = None
    start: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", History(self.history))

    @property
    def model(self) -> TrainedNetwork:
        """The network that was trained.

        ``f(x) = s Vᵀ σ(Wᵀ x)``

        Returns
        -------
        TrainedNetwork
            With ``first`` W, ``second`` V and its predictions.

        Raises
        ------
        AttributeError
            For a run of a linear model, which is ``weights``.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> lg.run(problem, lg.GD(lr=0.1), rounds=5, model=lg.TwoLayer(hidden=8)).model
        TrainedNetwork(20 → 8 relu → 1)
        """
        if "model" not in self.config or self.weights is None:
            raise AttributeError("model: this run is of a linear model; want its weights")
        from .networks.trained import network_of  # at first use, as most runs are of none

        return network_of(self.weights, self.config, self.start)

    @property
    def command(self) -> str:
        """The line, in Python or of a shell, that makes the run again, as far as it knows.

        ``lg.run(problem, …)`` with the method and all settings that are not at their default

        What has no text in Python stands there by the name of its argument: the problem, and
        ``init``, ``reference``, ``test``, ``stop``, ``measures`` and functions of the caller's.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [3.0]], [-1, 1])])
        >>> lg.run(problem, lg.LocalGD(2, lr=0.5), rounds=5, seed=3).command
        "lg.run(problem, lg.LocalGD(local_steps=2, lr=0.5), rounds=5, loss='exponential', seed=3)"
        """
        known = self.config.get("command")
        return str(known) if known else self._call()

    def _call(self) -> str:
        config, history = self.config, self.history
        ahead = "fast_forward" in config
        settings = {name: config[name] for name in ("rounds", "loss")}
        settings |= {
            name: config[name]
            for name, default in DEFAULTS.items()
            if config.get(name, default) != default and not (ahead and name in OF_ROUNDS)
        }
        if config["loss"] not in LOSSES:
            settings["loss"] = ...
        if config["init"] == "given":
            settings["init"] = ...
        if config["record"] == "given":
            settings["record"] = ...
        elif config["record"]["per_decade"] != LogSpaced().per_decade:
            settings["record"] = LogSpaced(config["record"]["per_decade"])
        given = {"reference": "angle", "test": "test_loss", "asymptote": "residual"}
        settings |= {name: ... for name, column in given.items() if column in history}
        if self.message.startswith("stopped"):
            settings["stop"] = ...
        if set(history) - set(COLUMNS) - {"error"}:
            settings["measures"] = ...
        method = described(config["method"], "method")
        return call("lg.fast_forward" if ahead else "lg.run", ["problem", method], settings)

    @property
    def local_steps_per_second(self) -> float:
        """Local steps of all clients, per second."""
        steps = float(self.history["local_steps"][-1])
        return steps * self.config["clients_per_round"] / max(self.elapsed, 1e-9)

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores of other rows.

        ``X w``, plus the intercept of a problem that has one

        Parameters
        ----------
        X : array of shape (n, d)
            Rows of any kind that the problem takes, without a column of ones. Of a problem that was
            made by :meth:`Problem.from_frame` also a table with the same columns, in any order.

        Returns
        -------
        ndarray of shape (n,), or (n, C) for several classes or targets
            Beyond 0 for the label +1; the largest is that of the likeliest class.

        Raises
        ------
        ValueError
            For rows of another width, NaN or inf.
        UnsupportedError
            For a kernel problem, whose model has no weights.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [3.0]], [-1, 1])], intercept="column")
        >>> run = lg.run(problem, lg.GD(lr=0.5), rounds=200, loss="logistic")
        >>> bool(run.decision_function([[1.0]])[0] < 0 < run.decision_function([[3.0]])[0])
        True
        """
        if "model" in self.config:
            return self.model.decision_function(X)
        return scores_of(self.weights, self.config["problem"], X)

    def predict(self, X: Any) -> np.ndarray:
        """The labels of other rows, or their targets in regression.

        ``sign(x·w)``, ``argmax_c x·W_c`` or ``x·w``, with the Poisson loss ``e^{x·w}``

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
        ValueError, UnsupportedError
            As :meth:`decision_function`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[-1.0], [3.0]], [-1, 1])])
        >>> lg.run(problem, lg.GD(lr=0.5), rounds=5).predict([[2.0], [-0.5]])
        array([ 1, -1])
        """
        scores = self.decision_function(X)
        known = LOSSES.get(self.config["loss"])  # none of an own one
        means = scores if known is None else known.means(scores)
        return labels_of(means, self.config["problem"])

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the labels of other rows.

        ``P(y = +1 | x) = 1/(1 + exp(-x·w))``, or the softmax of ``x·W``

        Parameters
        ----------
        X : array of shape (n, d)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n, 2) or (n, C)
            Of the labels in the order of ``problem.labels``, as ``config["problem"]`` has them.

        Raises
        ------
        ValueError
            As :meth:`decision_function`.
        UnsupportedError
            For a loss other than logistic and softmax, and as :meth:`decision_function`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[-1.0], [3.0]], [-1, 1])])
        >>> lg.run(problem, lg.GD(lr=0.5), rounds=5, loss="logistic").predict_proba([[0.0]])
        array([[0.5, 0.5]])
        """
        return probabilities_of(self.decision_function(X), self.config["loss"])

    def raise_for_status(self) -> Run:
        """The run itself, or a DivergedError if it diverged.

        ``status == "diverged"  ⇒  DivergedError(message, round)``

        Returns
        -------
        Run
            This one.

        Raises
        ------
        DivergedError

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> lg.run(problem, lg.GD(lr=1.0), rounds=10).raise_for_status().status
        'completed'
        """
        if self.status == "diverged":
            raise DivergedError(self.message, self.round)
        return self

    def to_frame(self) -> Any:
        """The history as a pandas DataFrame, one row per record.

        ``frame[column][row] = history[column][row]``

        Returns
        -------
        pandas.DataFrame
            Indexed from 0.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> frame = lg.run(problem, lg.GD(lr=1.0), rounds=10).to_frame()
        >>> list(frame.columns)
        ['round', 'local_steps', 'loss', 'log_loss', 'margin', 'norm', 'drift', 'grad_norm', \
'grad_variance', 'grad_alignment', 'grad_dissimilarity', 'passes', 'bytes', 'bits', 'bits_up', \
'bits_down']
        """
        return check.require("pandas", "data", "Run.to_frame").DataFrame(self.history)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to an NPZ file, which :func:`localgd.load` reads.

        ``lg.load(run.save(path))`` holds what ``run`` holds, bit for bit

        Parameters
        ----------
        path : path
            The file; the suffix ``.npz`` is added if it is missing.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import localgd as lg, tempfile, pathlib
        >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
        >>> run = lg.run(problem, lg.GD(lr=1.0), rounds=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = lg.load(run.save(pathlib.Path(folder) / "run.npz"))
        >>> bool((again.weights == run.weights).all())
        True
        """
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        meta = {
            "format": FORMAT,
            "config": self.config,
            "engine": self.engine,
            "threads": self.threads,
            "elapsed": self.elapsed,
            "status": self.status,
            "round": self.round,
            "message": self.message,
            "shortened": self.shortened,
        }
        kept = {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}
        write_npz(
            path,
            meta,
            {**kept, **{f"history/{name}": column for name, column in self.history.items()}},
        )
        return path

    def __repr__(self) -> str:
        last = {name: column[-1] for name, column in self.history.items() if len(column)}
        shown = [f"{name} {last[name]:.6g}" for name in ("loss", "margin", "angle") if name in last]
        if "loss" in last:
            shown[0] = f"{self.config['loss']} {shown[0]}"
        if "angle" in last:
            shown[-1] += " rad"
        return f"Run({self.status} after {self.round:,} rounds, {self.engine}: {', '.join(shown)})"


def make_run(
    prepared: Preparation,
    history: Mapping[str, np.ndarray],
    *,
    weights: np.ndarray | None = None,
    coefficients: np.ndarray | None = None,
    further: Iterable[str] = (),
    about: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """The result of a run from what the core returns.

    ``history`` has the core's columns and ``further`` ones; ``weights`` (d, C) and ``coefficients``
    (N, C) are those at the end; ``about`` adds to the config. Other fields of :class:`Run` come as
    they are.
    """
    problem = prepared.problem
    shape = prepared.weights_shape
    if coefficients is not None and len(problem.weights_shape) == 1:
        coefficients = coefficients[:, 0]
    return Run(
        weights=None if weights is None or problem.kernel else weights.reshape(shape),
        coefficients=coefficients,
        history=columns(prepared, history, further),
        config={**make_config(prepared), **_mean_clients(prepared, history), **(about or {})},
        recorded_weights=history["weights"].reshape(-1, *shape) if prepared.keep_weights else None,
        start=prepared.init[:, 0] if prepared.model and prepared.model.centered else None,
        **fields,
    )


def _mean_clients(prepared: Preparation, history: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How many clients took part in a round, where it is not the same number in all."""
    if isinstance(prepared.method.participation, float | int) or not history["round"][-1]:
        return {}
    mean = history["participations"][-1] / history["round"][-1]
    return {"clients_per_round": float(mean)}


def ending(
    prepared: Preparation, status: str, round: int, losses: np.ndarray, reason: str = ""
) -> dict[str, Any]:
    """How a run ended, as fields of its result; ``losses`` are those of the records.

    ``reason``: why a run was complete before its last round, or what made it diverge if that is
    known.
    """
    rounds, dtype = prepared.rounds, prepared.dtype
    early = reason and round < rounds
    message = f"stopped after round {round:,} of {rounds:,}: {reason}" if early else ""
    advice = "use a smaller lr, or divide the rows by their largest norm"
    if status == "interrupted":
        message = f"interrupted after round {round:,} of {rounds:,}"
    elif status == "diverged":
        limit = int(np.log(np.finfo(dtype).max))
        side = LOSSES[prepared.loss].overflows
        cause = f" (a margin {'below' if side < 0 else 'above'} {side * limit})" if side else ""
        message = (
            f"diverged in round {round + 1:,} of {rounds:,}: "
            f"{reason or f'an iterate overflowed{cause}'}; {advice}. "
            f"The result is that of round {round:,}"
        )
    elif LOSSES[prepared.loss].bounded and losses[-1] > max(losses[0], 1 / np.finfo(dtype).eps):
        status = "diverged"
        message = (
            f"diverged within {rounds:,} rounds: the loss has grown from {losses[0]:.3g} to "
            f"{losses[-1]:.3g}, where rounding moves margins by more than 1; {advice}"
        )
    return {"status": status, "round": round, "message": message}


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that ``Run.save`` wrote.

    ``lg.load(run.save(path))`` holds what ``run`` holds, bit for bit

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Run
        What was saved.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is not a saved run.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.load("nowhere.npz")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.npz'
    """
    meta, arrays = read_npz(path, "a run saved by localgd", "config")
    kept: dict[str, Any] = {name: arrays.pop(name, None) for name in ARRAYS}
    method = meta["config"].get("method", {})
    if "normalize" in method:  # as it was called
        method["fednova"] = method.pop("normalize")
    try:
        return Run(
            **kept,
            history={name.removeprefix("history/"): column for name, column in arrays.items()},
            **{key: meta[key] for key in meta if key not in ("format", "arrays")},
        )
    except TypeError as error:  # a field too many or too few
        raise ValueError(f"{path}: not a run saved by localgd, or damaged") from error


def write_npz(
    path: str | os.PathLike[str],
    meta: dict[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    probe: bool = False,
) -> None:
    """Arrays and JSON in one file, which appears whole or not at all; ``probe``: not at all."""
    meta = {**meta, "arrays": list(arrays)}
    with (probed if probe else replaced)(path) as file:
        np.savez(file, **{"meta": np.array(json.dumps(meta))}, **arrays)  # type: ignore[arg-type]


def read_npz(
    path: str | os.PathLike[str], what: str, key: str, format: int = FORMAT
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What :func:`write_npz` wrote with a ``key`` in meta; ``what`` names that kind of file."""
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as stored:
                # NumPy reads as much as a header asks for, which may be too little for a checksum.
                if stored.zip.testzip() is not None:
                    raise ValueError("a checksum differs")
                arrays = {name: stored[name] for name in stored.files}
            meta = json.loads(str(arrays.pop("meta")))
            if key not in meta or set(meta["arrays"]) != set(arrays):
                raise KeyError(key)
        except Exception as error:  # damaged zip files raise a dozen kinds
            raise ValueError(f"{path}: not {what}, or damaged") from error
    if meta.get("format") != format:
        raise ValueError(f"{path}: not {what} (format {meta.get('format')!r}; want {format})")
    return meta, arrays
