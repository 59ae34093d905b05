"""The commands that take settings; what carries them out is loaded when it is needed."""

from __future__ import annotations

from pathlib import Path
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
    SweepRequest,
    option,
)

__all__ = ["reproduce", "rerun", "run", "status", "sweep"]


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
    if settings.mpi:
        from .over_ranks import execute as over_ranks

        return over_ranks(settings)
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


def sweep(*files: kinds.FilePath, request: SweepRequest | None = None) -> int:
    """Run every combination of the settings in a TOML file; the exit code.

    Parameters
    ----------
    files
        The study: settings as of localgd run, and tables grid and methods with lists of values;
        with --merge, folders and files of runs.
    """
    from .studies import sweep as studies

    asked = request or SweepRequest()
    if asked.merge:
        if not files or asked.out is None:
            raise ValueError("merge: want files of runs, and --out FILE")
        return studies.merge_stores([*map(Path, files)], Path(asked.out), Screen(quiet=asked.quiet))
    if len(files) != 1:
        raise ValueError(f"study: got {len(files)} files; want one")
    study = Path(files[0])
    out = Path(asked.out) if asked.out else study.with_suffix("")
    return studies.execute(study, out, asked.executor, Screen(quiet=asked.quiet))


def status(folder: kinds.FilePath) -> int:
    """Say how far a study is, and whether its data are as they were; the exit code.

    Parameters
    ----------
    folder
        That of localgd sweep, or a file of runs.
    """
    from .studies.status import execute

    return execute(Path(folder), Screen())


def rerun(
    folder: kinds.FilePath,
    *,
    check: Annotated[bool, Parameter(negative=())] = False,
    out: kinds.FilePath | None = None,
    executor: str | None = None,
) -> int:
    """Run a study again and say which runs have the same bits; the exit code.

    Parameters
    ----------
    folder
        That of localgd sweep.
    check
        Keep nothing.
    out
        The folder for the new runs. Default: FOLDER-again.
    executor
        As of localgd sweep.
    """
    from .studies.rerun import execute

    if check and out is not None:
        raise ValueError(f"out: got {out!r} with --check, which keeps nothing")
    kept = None if check else Path(out or f"{Path(folder)}-again")
    return execute(Path(folder), kept, executor, Screen())
