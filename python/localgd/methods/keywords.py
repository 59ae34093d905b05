"""Keyword arguments that a class of options does not have are refused with the one meant."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .. import _validation as check

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["KnownKeywords"]

RENAMED = {"normalize": "fednova"}


class KnownKeywords:
    """A base of dataclasses that answers an unknown keyword with what it looks like."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """An instance, whose fields ``__init__`` sets."""
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in named.keys() - set(known):
            if name in RENAMED:
                raise TypeError(f"{name}: it is called {RENAMED[name]}= now, as on the shell")
            raise TypeError(
                f"{cls.__name__}: there is no argument {name!r}; {check.suggestion(name, known)}"
            )
        return super().__new__(cls)
