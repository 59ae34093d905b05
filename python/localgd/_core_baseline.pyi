"""The C++ core; its modules of the other instruction sets have the same contents."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, type_check_only

import numpy as np
from numpy.typing import ArrayLike, NDArray

@type_check_only
class _BuildInfo(TypedDict):
    version: str
    compiler: str
    flags: str
    build_type: str
    eigen: str
    instruction_set: Literal["baseline", "avx2", "avx512"]
    openmp: bool

def build_info() -> _BuildInfo: ...
def machine_supports(level: str) -> bool: ...

@type_check_only
class _Cost(TypedDict):
    seconds: float
    flops: float
    bytes: float
    amounts: dict[str, float]  # by the kinds of cpp/core/cost.hpp

@type_check_only
class _Forecast(TypedDict):  # EngineForecast (engine.hpp)
    phase: str  # "" if the engine is unable
    unable: Literal["", "server", "solve", "outputs", "steps", "rates"]  # of what
    setup: _Cost
    round: _Cost
    memory: float
    parts: int

def forecast(
    offsets: Sequence[int] | NDArray[np.integer],  # (M + 1,)
    features: int,
    *,
    outputs: int,
    loss: str,
    single: bool,
    steps: Sequence[int] | NDArray[np.integer],  # (M,), of each client
    batches: Sequence[int] | NDArray[np.integer],  # (M,), rows; 0 for all
    solve: bool,
    every_step: bool,
    correction: str,  # its kind, or "none"
    server: str,  # its kind
    rounds: float,  # at least 1
    share: float,  # of the clients that take part in a round
    rates: str = "given",  # the kind of their rule
    entries_before: NDArray[np.integer] | None = None,  # (M + 1,), of sparse rows, by client
    frees_intercept: bool = False,  # lambda > 0 leaves the last feature alone
    sharing: int = 0,  # clients that all hold the same rows, or 0
) -> dict[str, _Forecast]: ...
def nanoseconds() -> dict[str, float]: ...  # of a kind of work
def uniform_samples(words: NDArray[np.uint64], clients: int) -> NDArray[np.int64]: ...

# Everything that has a name in the core, with what there is to say of it: "losses", "servers" and
# "corrections" with their parameters, the names of the options "local" and "run", "measures" and
# "thresholds" (cpp/bindings/schema.hpp). What is given for options has all these names, and no
# other.
def schema() -> dict[str, Any]: ...
def loss_of_rows(
    loss: str,
    margins: ArrayLike,  # (N,) or (N, C)
    targets: ArrayLike,  # (N,)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def call_rows(
    function: dict[str, Any], margins: ArrayLike, targets: ArrayLike | None = None
) -> NDArray[np.float64]: ...
def sum_of_decays(decay: ArrayLike, steps: ArrayLike) -> Any: ...

# A run of a two-layer network, with the names that a Simulation has.
class NetworkSimulation:
    def __init__(
        self,
        rows: ArrayLike,  # (N, d) in C order, float64 or float32
        targets: ArrayLike,  # (N,) float64
        offsets: Sequence[int] | NDArray[np.integer],  # (M + 1,)
        weights: ArrayLike,  # (M,)
        run: dict[str, Any],  # the options "run"; init is (W, V) row by row in one column
        *,
        network: dict[str, Any],  # the options "network"
        loss: str,
        single: bool,
        local: dict[str, Any],  # the options "local"
        threads: int,
        row_weights: ArrayLike | None = None,
        free_intercept: bool = False,  # lambda leaves the last row of W alone
    ) -> None: ...
    @property
    def round(self) -> int: ...
    @property
    def running(self) -> bool: ...
    @property
    def participations(self) -> int: ...
    @property
    def drift(self) -> float: ...
    def see(self, gradient: bool) -> dict[str, float]: ...  # as of a Simulation
    @property
    def in_span(self) -> int: ...
    @property
    def stalls(self) -> int: ...
    @property
    def ladders(self) -> None: ...
    def advance(
        self,
        until: int,
        lrs: ArrayLike,
        shares: ArrayLike,
        progress: Callable[[int], object] | None,
        clients: NDArray[np.int64] | None = None,
        offsets: NDArray[np.int64] | None = None,
    ) -> Literal["completed", "diverged"]: ...
    def record_now(self) -> None: ...
    def history(self, run: int = 0) -> dict[str, NDArray[Any]]: ...
    def weights(self, run: int = 0) -> NDArray[np.float64]: ...  # (h (d + C), 1)
    def status(self, run: int = 0) -> Literal["running", "completed", "diverged"]: ...
    def round_of(self, run: int) -> int: ...
    def state(self) -> dict[str, NDArray[np.float64]]: ...
    def restore(
        self,
        round: int,
        participations: int,
        drift: float,
        state: dict[str, NDArray[np.float64]],
    ) -> None: ...

class Simulation:
    def __init__(
        self,
        # (N, d) in C order, float64 or float32: held, not copied, if it is just that. Of compressed
        # sparse rows where each begins (N + 1), columns (int32), values, and d.
        rows: ArrayLike | tuple[NDArray[np.int64], NDArray[np.int32], ArrayLike, int],
        targets: ArrayLike,  # (N,) float64: the same
        offsets: Sequence[int] | NDArray[np.integer],  # (M + 1,)
        weights: ArrayLike,  # (M,)
        runs: list[dict[str, Any]],  # the options "run" of one; or of several side by side
        *,
        engine: str,
        loss: str,
        single: bool,
        local: dict[str, Any],  # the options "local"
        threads: int,
        signs: bool = False,  # rows count times their targets, -1 or +1
        row_weights: ArrayLike | None = None,  # (N,); of mean 1 on each client, or all 1
        free_intercept: bool = False,  # lambda leaves the last feature alone
        sharing: int = 0,  # clients that all hold the same rows, or 0
        # If the clients are some of all: exchange (gather, send and receive of numbers), own and
        # holders (M over all ranks), see localgd/ranks.
        ranks: Any = None,
    ) -> None: ...
    @property
    def round(self) -> int: ...  # of the runs that go on
    @property
    def running(self) -> bool: ...
    @property
    def participations(self) -> int: ...
    @property
    def drift(self) -> float: ...
    def see(self, gradient: bool) -> dict[str, float]: ...  # f, |grad f|, |w| at the model
    @property
    def infeasible_client(self) -> int: ...
    @property
    def server(self) -> Any: ...  # what a server that is called steps by, or None
    @property
    def stalls(self) -> int: ...
    def advance(
        self,
        until: int,
        lrs: ArrayLike,  # one for each run, or (rounds, runs)
        shares: ArrayLike,  # (M,), or one for each of `clients`
        progress: Callable[[int], object] | None,
        clients: NDArray[np.int64] | None = None,  # who takes part, round after round
        offsets: NDArray[np.int64] | None = None,  # (rounds + 1,): where each begins in both
        present: NDArray[np.int64] | None = None,  # over ranks: how many take part on all of them
    ) -> Literal["completed", "diverged", "infeasible"]: ...
    def record_now(self, run: int = 0) -> None: ...
    # "round" and "participations" are int64, the rest float64
    def history(self, run: int = 0) -> dict[str, NDArray[Any]]: ...
    def weights(self, run: int = 0) -> NDArray[np.float64]: ...  # (d, C)
    def client_models(self, run: int = 0) -> NDArray[np.float64]: ...  # (d C, M)
    def coefficients(self, run: int = 0) -> NDArray[np.float64]: ...  # (N, C)
    def status(self, run: int = 0) -> Literal["running", "completed", "diverged", "infeasible"]: ...
    def round_of(self, run: int) -> int: ...
    def state(self) -> dict[str, NDArray[np.float64]]: ...
    def map(
        self,
        round: float,
        lrs: Sequence[float] | NDArray[np.float64],
        shares: ArrayLike,  # (M,)
        frozen: bool,
        tolerance: float,
        coefficients: ArrayLike,  # (N, C); velocity and controls too, or empty
        velocity: ArrayLike,
        controls: ArrayLike,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None: ...
    @property
    def ladders(self) -> dict[str, int] | None: ...
    def record_states(
        self,
        first: int,
        rounds: Sequence[float] | NDArray[np.float64],
        lrs: Sequence[float] | NDArray[np.float64],
        shares: ArrayLike,
        frozen: Sequence[bool] | NDArray[np.bool_],
        tolerance: float,
        coefficients: ArrayLike,  # (states, N C), column by column
        velocity: ArrayLike,  # the same, or empty; controls too
        controls: ArrayLike,
    ) -> bool: ...
    def restore(
        self,
        round: int,
        participations: int,
        drift: float,
        state: dict[str, NDArray[np.float64]],
    ) -> None: ...
