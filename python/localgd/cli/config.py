"""Settings in TOML files: those that the user writes, and the one that repeats a run."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from .. import __version__
from .settings import GROUPS, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

__all__ = ["about_weights", "read_config", "read_toml", "write_config"]

# They do not bear on the result.
NOT_WRITTEN = {"checkpoint", "checkpoint_seconds", "quiet"}
# The last version in which the weights of clients were equal if nothing was said of them.
LAST_EQUAL = (0, 1, 0)
HEADER = re.compile(r"# localgd (\d+)\.(\d+)\.(\d+)")


def read_config(path: str) -> dict[str, Any]:
    """The values of a TOML file, checked; with the weights that it meant if it is an old one."""
    values, text = read_toml(Path(path))
    Settings.from_values(values, f"{path}: ", text)
    written_by = HEADER.match(text)
    if written_by and tuple(map(int, written_by.groups())) <= LAST_EQUAL:
        values.setdefault("weights", "equal")
    return values


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """The values of a TOML file, and its text."""
    data = path.read_bytes()
    try:
        # Notepad and PowerShell begin their UTF-8 files with a byte order mark.
        text = data.decode("utf-8-sig")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = "UTF-16 text with a BOM" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else error.reason
        raise ValueError(f"{path} line {line}: not UTF-8 text ({what}); save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, brackets in brackets
        raise ValueError(f"{path}: not TOML: {error}") from None
    _rename(values)
    return values, text


def _rename(values: dict[str, Any]) -> None:
    """Settings of older files in today's words."""
    normalize = values.pop("normalize", None)
    # Of breast-cancer it meant how the rows are loaded.
    if normalize is not None and not (normalize and values.get("data") == "breast-cancer"):
        values.setdefault("scale", "max_norm" if normalize else "none")


def about_weights(config: Mapping[str, Any], options: Mapping[str, Any], path: str) -> str:
    """A line where a file without a version names no weights, whose default was another; or none.

    What :func:`write_config` writes always names them.
    """
    if "weights" in config or "weights" in options:
        return ""
    return (
        f"{Settings().weights}, every row counts the same: {path} names none, which up to "
        f"localgd {'.'.join(map(str, LAST_EQUAL))} could mean equal"
    )


def write_config(settings: Settings, path: Path) -> None:
    """A TOML file with which ``localgd run --config`` repeats the run."""
    values = settings.model_dump(mode="json", exclude_none=True, exclude=NOT_WRITTEN)
    parts = [f"# localgd {__version__}; to run it again: localgd run --config {path.name}\n"]
    for title, group in GROUPS.items():
        given = {name: values[name] for name in group.model_fields if name in values}
        if given:
            parts.append(f"# {title}\n{tomli_w.dumps(given)}")
    path.write_text("\n".join(parts), encoding="utf-8")
