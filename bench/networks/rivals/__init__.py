"""The rivals on networks: modules, and the environments of their processes."""

from __future__ import annotations

from dataclasses import replace

from throughput.rivals import OURS as DENSE_OURS
from throughput.rivals import RIVALS as DENSE

__all__ = ["CONTESTANTS", "OURS", "RIVALS"]

OURS = replace(DENSE_OURS, module=f"{__name__}.with_localgd")
RIVALS = {name: replace(DENSE[name], module=f"{__name__}.with_{name}") for name in ("torch", "jax")}
CONTESTANTS = {OURS.name: OURS, **RIVALS}
