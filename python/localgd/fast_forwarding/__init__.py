"""``localgd.fast_forward``: horizons that no step-by-step run can reach."""

from __future__ import annotations

from .api import fast_forward

__all__ = ["fast_forward"]
