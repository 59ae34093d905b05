"""The errors that localgd raises beside ``ValueError`` and ``TypeError``."""

from __future__ import annotations

__all__ = ["DivergedError", "MissingExtraError", "NotSeparableError", "UnsupportedError"]


class NotSeparableError(ValueError):
    """The rows admit no w with z·w > 0 for every signed row z.

    ``certificate`` holds convex weights v ≥ 0, Σ v = 1 with ‖Zᵀv‖ ≈ 0 where they were computed.
    """

    def __init__(self, message: str, certificate=None):
        super().__init__(message)
        self.certificate = certificate


class DivergedError(ArithmeticError):
    """The iterates overflowed or became NaN; ``round`` is the round in which they did."""

    def __init__(self, message: str, round: int | None = None):
        super().__init__(message)
        self.round = round


class UnsupportedError(ValueError):
    """A combination of options that makes no sense, or that this engine cannot run."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
