"""The commands that take settings; what carries them out is loaded when it is needed."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from . import kinds
from .config import about_weights, read_config
from .screen import Screen
from .settings import (
    ColumnSettings,
    DataSettings,
    EngineSettings,
    FormatSettings,
    LabelSettings,
    MethodSettings,
    Options,
    OutputSettings,
    Request,
    Settings,
    option,
)

__all__ = ["reproduce", "run"]


@Parameter(name="*")
class ConfigFile(Options):
    """Where settings may stand."""

    config: Annotated[kinds.FilePath | None, Parameter(alias="-c")] = option(
        "Settings from a TOML file; options win over it."
    )


def run(
    *,
    file: ConfigFile | None = None,
    data: DataSettings | None = None,
    labels: LabelSettings | None = None,
    format: FormatSettings | None = None,
    columns: ColumnSettings | None = None,
    method: MethodSettings | None = None,
    engine: EngineSettings | None = None,
    output: OutputSettings | None = None,
) -> int:
    """Run a method; the exit code."""
    given: dict[str, Any] = {}
    for group in (data, labels, format, columns, method, engine, output):
        given |= group.given if group else {}
    saved = read_config(file.config) if file and file.config else {}
    settings = Settings.merged(saved, given)
    screen = Screen(quiet=settings.quiet)
    if file and file.config:
        screen.guessed(about_weights(saved, given, file.config), "Weights")
    from .run import execute

    return execute(settings, screen)


def reproduce(
    *ids: str,
    show: Annotated[bool, Parameter(name="--list", negative=())] = False,
    request: Request | None = None,
) -> int:
    """Try the claims of the theory and its open questions, and write a report; the exit code.

    Parameters
    ----------
    ids
        Which experiments: E1 E2 … Default: all.
    show
        Print the experiments and run none.
    """
    from .reproduce import execute, show_list

    return show_list(Screen()) if show else execute(ids, request or Request(), Screen())
