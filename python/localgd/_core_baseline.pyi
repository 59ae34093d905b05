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

class Simulation:
    def __init__(
        self,
        rows: ArrayLike,  # (N, d) float64, C order: held, not copied, if it is just that
        targets: ArrayLike,  # (N,) float64: the same
        offsets: Sequence[int] | NDArray[np.integer],  # (M + 1,)
        weights: ArrayLike,  # (M,)
        init: ArrayLike,  # (d,)
        *,
        engine: str,
        loss: str,
        single: bool,
        local_steps: int,
        record_rounds: Sequence[int] | NDArray[np.integer],
        reference: ArrayLike,  # (d,) or (0,)
        threads: int,
        keep_weights: bool = False,
    ) -> None: ...
    @property
    def round(self) -> int: ...
    @property
    def stalls(self) -> int: ...
    def advance(
        self,
        until: int,
        lrs: Sequence[float] | NDArray[np.float64],
        progress: Callable[[int], object] | None,
    ) -> Literal["completed", "diverged"]: ...
    def record_now(self) -> None: ...
    def history(self) -> dict[str, NDArray[Any]]: ...  # "round" is int64, the rest float64
    def weights(self) -> NDArray[np.float64]: ...  # (d,)
    def coefficients(self) -> NDArray[np.float64]: ...  # (N,)
    def local_changes(self) -> NDArray[np.float64]: ...  # (N,)
    def state(self) -> NDArray[np.float64]: ...
    def restore(
        self, round: int, coefficients: ArrayLike, local_changes: ArrayLike, state: ArrayLike
    ) -> None: ...
