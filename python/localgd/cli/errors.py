"""Errors in the words of the shell."""

from __future__ import annotations

import re

import cyclopts
from cyclopts import CycloptsError, UnusedCliTokensError

from ..errors import MissingExtraError
from .screen import one_line

__all__ = ["USER_ERRORS", "text_of"]

# Errors that say what the user has to change; any other is a fault of localgd, with a traceback.
USER_ERRORS = (ValueError, OSError, MissingExtraError, MemoryError)

OF_DATA = ("path", "X, y", "y", "labels", "problem")
NAMES = {**dict.fromkeys(OF_DATA, "data"), "n_clients": "clients"}
RENAMED = {"--no-normalize": "--scale none", "--normalize": "--scale max_norm"}


def text_of(error: Exception) -> str:
    """What is wrong, in the words of the shell."""
    if isinstance(error, CycloptsError):
        return _of_options(error)
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(error)
    from .settings import in_options

    # Functions of localgd speak of their arguments; the user gave settings.
    name, colon, rest = one_line(error).partition(": ")
    return in_options(NAMES.get(name, name) + colon + rest) or type(error).__name__


def _of_options(error: CycloptsError) -> str:
    """What is wrong with the options, by their checks or by their names."""
    if isinstance(error, cyclopts.ValidationError):
        from pydantic import ValidationError

        from .settings import refusal

        assert isinstance(error.__cause__, ValidationError), "no other check is made"
        return refusal(error.__cause__)
    for old, new in RENAMED.items():
        if re.search(rf"{old}\b", one_line(error)):
            return f"{old}: it is {new} now, and FedNova's average is --fednova"
    command = " ".join(["localgd", *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError) and command.endswith(" run"):
        first = (error.unused_tokens or [""])[0]
        return f"got {first!r} without an option; want --data {first} if it is a file of rows"
    return f"{one_line(error)} (see {command} --help)"
