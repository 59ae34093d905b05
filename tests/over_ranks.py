"""Runs over ranks of MPI: ``mpiexec -n 3 python over_ranks.py FILE THREADS some`` pickles them.

The cases are those that test_ranks.py takes in one process, too.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import registry
from scipy.sparse import csr_array

import localgd as lg

LR = 0.2
ROUNDS = 12
RECORD = (0, 1, 5, ROUNDS)
MANY = 1500  # clients, three to a group of the sums: groups that are on two ranks


class Case(NamedTuple):
    """Rows with the id of their client, and how they are run."""

    X: Any
    y: np.ndarray
    ids: np.ndarray
    about: dict[str, Any]  # of the problem, by row where it is an array of that length
    method: lg.methods.Method
    how: dict[str, Any]

    def problem(self, keep: np.ndarray | None = None) -> lg.Problem | None:
        """Of all rows, or of those to keep; None if there are none."""
        keep = np.full(len(self.y), True) if keep is None else keep
        if not keep.any():
            return None
        about = {
            name: value[keep] if np.shape(value) == np.shape(keep) else value
            for name, value in self.about.items()
        }
        if callable(weights := about.get("weights")):
            about["weights"] = weights(np.unique(self.ids[keep]))
        return lg.Problem.from_arrays(self.X[keep], self.y[keep], self.ids[keep], **about)

    def run(self, problem: lg.Problem | None, **more: Any) -> lg.Run:
        return lg.run(
            problem, self.method, **{"rounds": ROUNDS, "record": RECORD, **self.how, **more}
        )


def rows(loss: str, sizes: tuple[int, ...], d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(len(sizes))
    X = rng.standard_normal((sum(sizes), d)) / np.sqrt(d)
    y = registry.fitting_labels(loss, X, rng)
    return X, y, np.repeat(np.arange(len(sizes)), sizes)


def about(loss: str) -> dict[str, Any]:
    labels = range(registry.N_CLASSES) if loss == "softmax" else None
    binary = None if loss in ("softmax", *registry.REGRESSION) else "binary"
    return {
        "task": registry.task(loss) or binary or "regression",
        "labels": labels,
        "weights": lambda ids: 1.0 + ids % 5,
    }


def few() -> tuple[int, ...]:
    return (12, 40, 25)


def cases(every: bool = False) -> Iterator[tuple[str, Case]]:
    """By name: every method in an engine with a loss, or in all; then kinds of rows."""
    for k, method in enumerate(registry.METHODS):
        losses = [loss for loss in ("logistic", "softmax", "squared") if loss in method.losses]
        engines = [engine for engine in method.engines if engine != "gram"]
        if not every:
            losses, engines = [losses[k % len(losses)]], [engines[k // 3 % len(engines)]]
        for loss in losses:
            for engine in engines:
                X, y, ids = rows(loss, few(), 40)
                how = {"loss": loss, "engine": engine, "seed": registry.SEED}
                case = Case(X, y, ids, about(loss), method.make(LR), how)
                how["reference"] = registry.reference(loss, case.problem())
                yield f"{method.name}, {loss}, {engine}", case
    some = {
        "plain": lg.LocalGD(3, LR),
        "controls": lg.Scaffold(3, LR, participation=0.1),
        "batches": lg.LocalSGD(3, LR, batch_size=1, participation=7),
        "starts": lg.FedGA(3, LR, 0.3),
        "adaptive": lg.LocalGD(3, lg.RiskAdapted(0.05)),
        "function": lg.LocalGD(3, lambda round, loss: 0.1 / (1 + loss)),
    }
    for name, method in some.items():
        X, y, ids = rows("logistic", tuple(1 + i % 3 for i in range(MANY)), 6)
        weighted = {
            **about("logistic"),
            "weights": "samples",
            "sample_weight": 1 + 0.1 * np.arange(len(y)) % 2,
        }
        for kind, how in {
            "": {},
            "float32": {"dtype": "float32"},
            "free intercept": {"l2": 0.01, "intercept": "free"},
        }.items():
            given = dict(how)
            free = {"intercept": given.pop("intercept", None)}
            if name == "plain":  # in bundles
                bundles = {"loss": "logistic", "engine": "hybrid", **given}
                yield (
                    f"bundles of {MANY} clients, {kind}",
                    Case(X, y, ids, weighted | free, method, bundles),
                )
            yield (
                f"{name}, {MANY} clients, {kind}",
                Case(
                    X,
                    y,
                    ids,
                    weighted | free,
                    method,
                    {"loss": "logistic", "engine": "primal", **given},
                ),
            )
        thinned = csr_array(np.where(np.abs(X) < 0.3, 0, X))
        yield (
            f"{name}, sparse",
            Case(
                thinned, y, ids, about("logistic"), method, {"loss": "logistic", "engine": "primal"}
            ),
        )


def holders(case: Case, ranks: int) -> np.ndarray:
    """The rank of each row: consecutive clients, unevenly, and none on the second of seven."""
    clients = np.unique(case.ids)
    place = np.searchsorted(clients, case.ids) / len(clients)
    found = (ranks * place**1.5).astype(int)
    return np.where(found == 1, 0, found) if ranks == 7 else found


def arrays(run: lg.Run) -> dict[str, np.ndarray]:
    return {"weights": run.weights, **run.history}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(
        one[name].tobytes() == other[name].tobytes() for name in one
    )


def main(file: str, threads: int, every: bool) -> None:
    from mpi4py import MPI

    warnings.filterwarnings("ignore", "participation", UserWarning)
    comm = MPI.COMM_WORLD
    found = {}
    for name, case in cases(every):
        keep = holders(case, comm.size) == comm.rank
        run = case.run(case.problem(keep), comm=comm, threads=threads)
        ran = arrays(run), run.status, run.round
        everywhere = comm.allgather(ran)
        assert all(same(other[0], ran[0]) and other[1:] == ran[1:] for other in everywhere), name
        found[name] = ran[0]
    if comm.rank == 0:
        with open(file, "wb") as out:
            pickle.dump(found, out)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "every")
