"""The rivals: which module writes them, and the environment of their process."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CONTESTANTS", "OURS", "RIVALS", "Contestant"]


@dataclass(frozen=True)
class Contestant:
    """A library with a process of its own; a 1 in its name: with one thread.

    ``environment`` is read by the libraries when they are loaded; ``{threads}`` is filled in.
    """

    name: str
    module: str
    environment: dict[str, str] = field(default_factory=dict)


ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ALL_BLAS_THREADS = {"OPENBLAS_NUM_THREADS": "{threads}", "MKL_NUM_THREADS": "{threads}"}

OURS = Contestant("localgd", f"{__name__}.with_localgd", ONE_BLAS_THREAD)
RIVALS = {
    rival.name: rival
    for rival in (
        Contestant("numpy", f"{__name__}.with_numpy", ALL_BLAS_THREADS),
        Contestant("numpy1", f"{__name__}.with_numpy", ONE_BLAS_THREAD),
        Contestant(
            "numba", f"{__name__}.with_numba", {**ONE_BLAS_THREAD, "NUMBA_NUM_THREADS": "{threads}"}
        ),
        Contestant("torch", f"{__name__}.with_torch", {"OMP_NUM_THREADS": "{threads}"}),
        Contestant("torch1", f"{__name__}.with_torch", {"OMP_NUM_THREADS": "1"}),
        Contestant(
            "jax",
            f"{__name__}.with_jax",
            {
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": "--xla_force_host_platform_device_count={threads}",
            },
        ),
    )
}
CONTESTANTS = {OURS.name: OURS, **RIVALS}
