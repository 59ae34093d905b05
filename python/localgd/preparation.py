"""A run that is ready to be taken: its arguments, checked once for whoever takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validation as check
from .arguments import (
    DTYPES,
    check_callback,
    check_dtype,
    check_init,
    check_reference,
    check_rounds,
)
from .engines import DEFAULT_MEMORY_LIMIT, ENGINES, SLICED_COPIES, Plan, choose_engine
from .errors import UnsupportedError
from .held_out import Scores
from .losses import LOSSES, LossLike, check_loss, default_loss
from .measuring import OF_CORE, Measure, Minimum, Timed, further_measures, held_out_rows
from .methods import Method, check_method
from .networks.beside import check_beside, measures_beside
from .networks.preparing import check_network, measures_of, network_start, scores_with
from .networks.preparing import plan as network_plan
from .networks.two_layer import TwoLayer
from .own_measures import OwnMeasure
from .problem import Problem, check_problem
from .progress import check_progress
from .recording import LogSpaced, log_spaced, record_rounds
from .schedules import Polyak, RiskAdapted, Schedule
from .theory import learning_rate, penalty

if TYPE_CHECKING:
    from .networks.trained import TrainedNetwork

__all__ = ["Preparation", "prepare"]

DEFAULT_RECORD = log_spaced()


@dataclass(frozen=True, eq=False)
class Preparation:
    """The arguments of ``run``, ``fast_forward`` or a run of ``sweep``, checked and made definite.

    Made by :func:`prepare`.
    """

    problem: Problem
    method: Method
    rounds: Any  # an int, or a float beyond those that can be counted
    seed: int
    dtype: str
    loss: LossLike
    l2: float  # λ
    model: TwoLayer | None  # or a linear one
    init: np.ndarray  # w_0, (d, C); of a network its parameters, one column
    starts_at_zero: bool  # no init was given
    reference: np.ndarray  # its direction, or parameters, as init; empty if there is none
    beside: TrainedNetwork | None  # of a network: that of the reference
    minimum: Minimum | None  # what the reference is, if it is the minimiser of this objective
    records: np.ndarray  # rounds to measure at, increasing: int64, or float64 of a far run
    spacing: LogSpaced | None  # of the records; None if they were given one by one
    engine: str  # asked for
    threads: int | None  # asked for
    memory_limit: int
    keep_weights: bool
    every_step: bool
    test: Any
    asymptote: Any
    measures: Mapping[str, Measure] | None
    stop: Mapping[str, float] | Callable[[dict[str, float]], bool] | None
    callback: tuple[Callable[[dict[str, float]], Any], ...]
    progress: bool | Callable[[Any], None]

    @cached_property
    def lr(self) -> Schedule:
        """The method's schedule with presets made numbers, which may take a while."""
        return learning_rate(self.problem, self.method, self.loss, self.l2)

    @cached_property
    def further(self) -> dict[str, Timed]:
        """What Python measures at the records, by column."""
        if self.model is None:
            return self._asked_for(None)
        scores = scores_with(self.model, self.problem, self.init[:, 0])
        found = {**measures_of(self.model, self.problem, scores), **self._asked_for(scores)}
        if self.beside is None:
            return found
        test = None if self.test is None else held_out_rows(self.problem, self.test)[0]
        start = np.zeros(0) if self.beside.start is None else self.beside.start
        others = scores_with(self.beside.network, self.problem, start)
        return {**found, **measures_beside(self.beside, self.problem, test, scores, others)}

    def _asked_for(self, scores: Scores | None) -> dict[str, Timed]:
        asked = (self.test, self.asymptote, self.measures, self.minimum)
        if all(measure is None for measure in asked):
            return {}
        return further_measures(
            self.problem,
            self.method,
            self.loss,
            self.lr,
            self.test,
            self.asymptote,
            self.measures,
            self.minimum,
            self.l2,
            scores,
        )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Of the model as users see it: a network's parameters are one vector."""
        return self.problem.weights_shape if self.model is None else self.init[:, 0].shape

    @property
    def itemsize(self) -> int:
        """Bytes of a number of the rows and of the local phase."""
        return DTYPES[self.dtype]

    @property
    def rows_in_place(self) -> bool:
        """Whether sparse rows are read where they are, for lack of memory for their slices."""
        if self.model is not None or self.problem.ranks.of_core or not self.problem.sparse:
            return False
        X = self.problem.X
        rows = X.nnz * (self.itemsize + X.indices.itemsize)
        return SLICED_COPIES * rows > self.memory_limit

    def plan(self, engine: str) -> Plan:
        """What an engine costs; the cheapest if it is "auto"."""
        if self.model is not None:
            return network_plan(
                self.model,
                self.problem,
                self.method,
                engine=self.engine,
                itemsize=self.itemsize,
                memory_limit=self.memory_limit,
            )
        return choose_engine(
            self.problem,
            self.method,
            self.rounds,
            loss=self.loss,
            engine=engine,
            itemsize=self.itemsize,
            memory_limit=self.memory_limit,
            every_step=self.every_step,
            l2=self.l2,
        )


def prepare(
    problem: Any,
    method: Any,
    *,
    rounds: Any,
    loss: Any = None,
    l2: Any = 0.0,
    model: Any = None,
    init: Any = None,
    engine: Any = "auto",
    dtype: Any = None,
    threads: Any = None,
    seed: Any = 0,
    record: Any = None,
    reference: Any = None,
    test: Any = None,
    asymptote: Any = None,
    measures: Any = None,
    stop: Any = None,
    callback: Any = None,
    progress: Any = False,
    keep_weights: Any = False,
    every_step: Any = False,
    memory_limit: Any = DEFAULT_MEMORY_LIMIT,
    far: bool = False,
) -> Preparation:
    """Check the arguments of a run, which has more rounds than can be counted if it is ``far``."""
    check_problem(problem)
    method = check_method(method).on(problem.sizes)
    rounds = check_rounds(rounds, far)
    loss = default_loss(problem.task) if loss is None else check_loss(loss, problem)
    network = check_network(
        model,
        problem,
        method,
        engine=engine,
        l2=l2,
        loss=loss,
        measures=measures,
        asymptote=asymptote,
    )
    beside = None if network is None else check_beside(reference, network, problem)
    seed = check.integer("seed", seed, 0)
    record = DEFAULT_RECORD if record is None else record
    records = record_rounds(record, rounds)
    prepared = Preparation(
        problem=problem,
        method=method,
        rounds=rounds,
        seed=seed,
        dtype=problem.dtype.name if dtype is None else check_dtype(dtype),
        loss=loss,
        l2=_check_l2(penalty(l2, problem, loss), method),
        model=network,
        init=(
            check_init(init, problem)
            if network is None
            else network_start(network, init, problem, seed)
        ),
        starts_at_zero=network is None and init is None,
        reference=check_reference(reference, problem) if network is None else _parameters(beside),
        beside=beside,
        minimum=None if far and l2 == 0 else _minimum(reference),
        records=records if far else records.astype(np.int64),
        spacing=record if isinstance(record, LogSpaced) else None,
        engine=check.one_of("engine", engine, ("auto", *ENGINES)),
        threads=None if threads is None else check.integer("threads", threads, 1),
        memory_limit=check.integer("memory_limit", memory_limit, 1),
        keep_weights=check.flag("keep_weights", keep_weights),
        every_step=check.flag("every_step", every_step),
        test=test,
        asymptote=asymptote,
        measures=measures,
        stop=stop,
        callback=check_callback(callback),
        progress=check_progress(progress),
    )
    _check_minimum(prepared)
    _check_solve(prepared)
    _check_rates(prepared)
    for name, measure in prepared.further.items():  # which refuse what does not fit
        if far and isinstance(measure, OwnMeasure) and measure.wants_models:
            raise UnsupportedError(
                f"measures: {name!r} sees the clients' models, which only run has; want one of "
                "round, weights and gradients"
            )
        shares = problem.shares_rows
        if shares and isinstance(measure, OwnMeasure) and measure.wants_clients:
            raise UnsupportedError(
                f"measures: {name!r} sees what each client has, which nobody keeps of clients that "
                "share their rows; want one of round and weights"
            )
    _check_stop(prepared)
    return prepared


def _check_solve(prepared: Preparation) -> None:
    if prepared.method.rule.solve and not LOSSES[prepared.loss].has_exact_solve:
        fitting = [
            name
            for name, loss in LOSSES.items()
            if loss.has_exact_solve and prepared.problem.task in loss.tasks
        ]
        raise UnsupportedError(
            f"loss: got {prepared.loss!r}, which the exact local solves of {prepared.method!r} do "
            f"not minimise; want {' or '.join(map(repr, fitting))}, or a method with local steps"
        )


def _check_rates(prepared: Preparation) -> None:
    """Whether a risk adapts the rates: one that tends to 0, and each client's own if it is to."""
    lr, rule = getattr(prepared.method, "lr", None), prepared.method.rule
    if isinstance(lr, Polyak) and prepared.loss not in LOSSES.keys():
        raise UnsupportedError(f"lr: got {lr!r} with {prepared.loss!r}; want a loss by its name")
    if not isinstance(lr, RiskAdapted):
        return
    known = LOSSES[prepared.loss]
    fitting = [name for name, loss in LOSSES.items() if loss.tail and (loss.signed or not lr.own)]
    if prepared.loss not in fitting:
        raise UnsupportedError(
            f"lr: got {lr!r} for the {known.name} loss; want a loss with an exponential tail"
            f"{' and one output' if lr.own else ''}: {' or '.join(fitting)}"
        )
    if not lr.own:
        return
    why = None
    if rule.stochastic:
        why = "batches, which know nothing of the risk on all rows"
    elif prepared.l2 > 0 or rule.prox > 0:
        why = "l2" if prepared.l2 > 0 else "a proximal term"
        why += ", of which each step of each client would take another part"
    elif rule.correction != "none":
        why = f"the corrections of {type(prepared.method).__name__}, which are of one scale for all"
    if why is not None:
        raise UnsupportedError(
            f"lr: got {lr!r} with {why}; want RiskAdapted({lr.eta:g}), the same rate for all "
            "clients, or full-batch steps of the loss alone"
        )


def _check_stop(prepared: Preparation) -> None:
    stop = prepared.stop
    if stop is None or callable(stop):
        return
    if not isinstance(stop, Mapping):
        raise TypeError(
            f"stop: got {stop!r}; want a mapping of columns to numbers, or a function of a record"
        )
    labelled = prepared.problem.task != "regression"
    measured = [
        name
        for name, column in OF_CORE.items()
        if name not in ("round", "participations") and (labelled or not column.wants_labels)
    ]
    if not prepared.reference.size:
        measured.remove("angle")
    measured += [*prepared.further, *(["suboptimality"] if prepared.minimum is not None else [])]
    for name, most in stop.items():
        if name not in measured:
            raise ValueError(
                f"stop: there is no column {name!r}; want {', '.join(measured)}"
                f"{check.did_you_mean(name, measured)}"
            )
        check.number(f"stop[{name!r}]", most)


def _parameters(network: TrainedNetwork | None) -> np.ndarray:
    return np.zeros((0, 0)) if network is None else network.parameters[:, None]


def _minimum(reference: Any) -> Minimum | None:
    known = all(hasattr(reference, name) for name in ("weights", "value", "loss", "l2"))
    return reference if known else None


def _check_minimum(prepared: Preparation) -> None:
    found = prepared.minimum
    if found is None or (found.loss, found.l2) == (prepared.loss, prepared.l2):
        return
    raise ValueError(
        f"reference: got the minimiser for loss={found.loss!r}, l2={found.l2:g}; want that of the "
        f"run, reference.minimizer(problem, loss={prepared.loss!r}, l2={prepared.l2:g}), or its "
        "weights, if only the angle to them is wanted"
    )


def _check_l2(l2: float, method: Method) -> float:
    if l2 > 0 and method.rule.solve:
        raise UnsupportedError(
            f"l2: got {l2:g}, but the exact local solves of {method!r} are those of the loss "
            "alone; want l2=0, or a method with local steps"
        )
    return l2
