"""The rivals on sparse rows: modules, and the environments of their processes."""

from __future__ import annotations

from dataclasses import replace

from throughput.rivals import ONE_BLAS_THREAD, OURS, Contestant
from throughput.rivals import RIVALS as DENSE

__all__ = ["CONTESTANTS", "OURS", "RIVALS"]

RIVALS = {
    "scipy": Contestant("scipy", f"{__name__}.with_scipy", ONE_BLAS_THREAD),
    "numba": replace(DENSE["numba"], module=f"{__name__}.with_numba"),
    "jax": replace(DENSE["jax"], module=f"{__name__}.with_jax"),
}
CONTESTANTS = {OURS.name: OURS, **RIVALS}
