"""``localgd run --mpi``: each rank reads the rows of its clients; the first prints and writes."""

from __future__ import annotations

import functools
import operator
from pathlib import Path

from ..arguments import MAX_ROUNDS
from ..methods import Method
from ..result import Run
from . import chosen_method
from .errors import USER_ERRORS, text_of
from .job import Job
from .report import round_text
from .rows import BUILT_IN, Census, Prepared, PreparedPart, about_clients, prepare_part
from .run import begin, conclude, taken
from .screen import Screen
from .settings import Settings
from .target import Target

__all__ = ["execute", "settled"]

TARGET = Target("none", None, "none: over ranks nobody has the rows of all clients")
# What needs the rows of all clients, and what to do without it; left out unless it is asked for.
REFUSED = {
    "test": "want rows that were held out before: evaluate the saved run on them",
    "reference": "want it without: the rows of all clients are in no process",
    "pooled": "want it without: the rows of all clients are in no process",
    "evaluate": "want it without: the rows of all clients are in no process",
    "categorical": "want columns of numbers, encoded before by what all rows teach",
    "impute": "want columns of numbers, imputed before by what all rows teach",
    "drop": "want a file without these columns",
}
SCALES = (None, "none", "rows")  # that need no other rank's rows


def execute(settings: Settings) -> int:
    """Do it all; the exit code."""
    job = Job()
    screen = Screen(quiet=settings.quiet or not job.leads)
    with job.ended_together():
        settings = job.agreed(lambda: settled(settings))
        with screen.busy("loading the rows"):
            part = job.agreed(lambda: prepare_part(settings, (job.rank, job.size)))
        method = job.agreed(lambda: chosen_method.build(part.settings))
        program = f"mpiexec -n {job.size} localgd"
        prepared = _described(part, job)
        job.agreed(lambda: _begin(prepared, method, screen) if job.leads else None)
        result = _run(prepared, method, screen, job)
        code = conclude(prepared, method, TARGET, result, screen, program) if job.leads else 0
        return int(job.comm.bcast(code))


def settled(settings: Settings) -> Settings:
    """The settings, with the defaults of the method; what ranks cannot do is refused."""
    for name, wanted in REFUSED.items():
        if getattr(settings, name) not in (None, False):
            raise ValueError(f"{name}: got {getattr(settings, name)!r} with mpi; {wanted}")
    if settings.data is None or settings.data in BUILT_IN:
        raise ValueError("data: got no file with mpi; want a .parquet file, or a folder of them")
    if settings.client is None:
        raise ValueError(
            "client: got none with mpi; want the column that says whose a row is, by which rows "
            "are shared out to the ranks"
        )
    if settings.scale not in SCALES:
        raise ValueError(
            f"scale: got {settings.scale!r} with mpi; want none or rows, which need no rows of "
            "other ranks, and columns that were scaled before"
        )
    if settings.rounds > MAX_ROUNDS:
        raise ValueError(
            f"rounds: got {round_text(settings.rounds)} with mpi, where none are skipped; want at "
            f"most {MAX_ROUNDS:,}"
        )
    left_out = {"reference": False, "pooled": False}
    return chosen_method.settle(settings.model_copy(update=left_out))


def _described(part: PreparedPart, job: Job) -> Prepared:
    """The problem of this rank, and lines about those of all."""
    settings = part.settings
    told: list[tuple[Census, str]] = job.comm.allgather((part.census, part.labels))
    all = functools.reduce(operator.add, (census for census, _ in told))
    labels = next((labels for _, labels in told if labels), "")
    data = (
        f"{Path(str(settings.data)).name}{labels}: {all.rows:,} rows of {all.features:,} features"
    )
    most = max(census.rows for census, _ in told)
    if job.size > 1:
        data += f", on {job.size:,} ranks, at most {most:,} rows on each"
    return Prepared(
        part.problem,  # type: ignore[arg-type]  # None on ranks without clients
        None,
        None,
        settings,
        data,
        about_clients(all, settings, f"named by {settings.client!r}"),
        part.guessed,
    )


def _begin(prepared: Prepared, method: Method, screen: Screen) -> None:
    begin(prepared, screen)
    screen.line("Reference", TARGET.about)
    screen.line("Method", chosen_method.about(prepared.settings, getattr(method, "lr", 1.0)))


def _run(prepared: Prepared, method: Method, screen: Screen, job: Job) -> Run:
    """The run, or what is wrong with it: ``localgd.run`` has the same error on all ranks."""
    try:
        return taken(prepared, method, TARGET, screen, job.comm)
    except USER_ERRORS as error:
        job.tell(text_of(error))
        raise
