"""``localgd reproduce``: experiments one after the other, and a report of them."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..reproducing import Context, Experiment, Outcome, OwnRows, all_experiments, carry_out, find
from ..reproducing.criterion import CAVEAT, FAILS, HOLDS, INCONCLUSIVE
from ..reproducing.report import Report
from ..reproducing.running import FAILED
from .figure import without_window
from .info import collect
from .rows import prepare
from .screen import PLAIN, Screen, quoted
from .settings import Request, Settings

__all__ = ["execute", "show_list"]

COLOURS = {HOLDS: "green", FAILS: "red", CAVEAT: "yellow", INCONCLUSIVE: "magenta"}
COLOURS[FAILED] = "bold red"
INTERRUPTED = 130
OF_CLASSES = "dirichlet:0.3"


def execute(ids: Sequence[str], request: Request, screen: Screen) -> int:
    """Do it all; the exit code: 1 if an experiment failed to run, 130 after Ctrl-C."""
    wanted = find(ids)
    without_window("localgd reproduce")
    own = _own_rows(request, screen)
    if own is not None:
        screen.line("Data", own.about)
    with _progress(screen, len(wanted)) as (begin, status):
        context = Context(request.quick, request.seed, own, request.threads, status)
        report = Report(
            Path(request.out),
            context,
            _about(request),
            [experiment.id for experiment in wanted],
        )
        try:
            for experiment in wanted:
                begin(experiment)
                outcome = carry_out(experiment, context)
                report.add(outcome)
                _show(outcome, context, screen)
        except KeyboardInterrupt:
            screen.error(f"interrupted; not finished: {', '.join(report.waiting)}")
            return INTERRUPTED
        finally:
            screen.path("Report", str(report.index))
    failed = [outcome.experiment.id for outcome in report.outcomes if outcome.failed]
    if failed:
        screen.error(f"failed to run: {', '.join(failed)}; the report has the errors")
    return 1 if failed else 0


def show_list(screen: Screen) -> int:
    """Print which experiments there are."""
    table = Table(
        box=None if screen.out.is_terminal else PLAIN,
        header_style="bold",
        pad_edge=False,
        show_edge=False,
        padding=(0, 2, 1, 0) if screen.out.is_terminal else (0, 2, 0, 0),
    )
    for heading in ("", "Question", "Source"):
        table.add_column(heading, overflow="fold")
    for experiment in all_experiments():
        said = experiment.words
        source = ("open; " if said.open else "") + said.sources[0].label
        own = f" Own rows: {', '.join(said.tasks)}." if said.tasks else ""
        table.add_row(said.id, Text(said.question + own), Text(source))
    screen.print_table(table)
    return 0


def _own_rows(request: Request, screen: Screen) -> OwnRows | None:
    given = request.of_file
    if request.data is None:
        if given:
            raise ValueError(
                f"{min(given)}: got {given[min(given)]!r} without data; want --data FILE"
            )
        return None
    with screen.busy("loading the rows"):
        options = {"data": request.data, "seed": request.seed, "scale": "max_norm"}
        # Experiments decompose the rows, take steps of 1, and want clients that differ.
        prepared = prepare(Settings.merged(options, given), sparse=False, of_classes=OF_CLASSES)
    screen.guessed(prepared.guessed)
    about = f"{prepared.data}; clients: {prepared.clients}"
    weighted = prepared.settings.client_weighted
    if weighted:
        about += ": client-weighted, not pooled, but where an experiment deals them again"
    return OwnRows(prepared.problem, about, weighted)


def _show(outcome: Outcome, context: Context, screen: Screen) -> None:
    head = Text.assemble(
        (f"{outcome.experiment.id:<4}", "bold cyan"), (f"{outcome.seconds:.1f} s", "dim")
    )
    screen.out.print(head, soft_wrap=True)
    own = outcome.own_rows(context)
    if own:
        screen.out.print(Text(f"    own rows {own}"), soft_wrap=True)
    for title, answer, finding in outcome.lines:
        start = Text.assemble(f"    {title + ': ' if title else ''}", (answer, COLOURS[answer]))
        screen.out.print(start, soft_wrap=True)
        screen.out.print(Text(f"        {finding}"), soft_wrap=True)


@contextmanager
def _progress(
    screen: Screen, total: int
) -> Iterator[tuple[Callable[[Experiment], None], Callable[[str], None]]]:
    """On a terminal a line with the present experiment; else nothing."""
    if not screen.live:
        yield lambda experiment: None, lambda text: None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[name]}", style="bold cyan"),
        BarColumn(bar_width=16),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=screen.err,
        transient=True,
    )
    task = bar.add_task("", total=total, name="", completed=-1)

    def begin(experiment: Experiment) -> None:
        bar.update(task, advance=1, name=experiment.id, description=experiment.words.title)

    with bar:
        yield begin, lambda text: bar.update(task, description=text)


def _about(request: Request) -> dict[str, str]:
    """How the report was made, for its last part."""
    build = collect()
    command = ["localgd", *sys.argv[1:]]
    if request.data is not None and "weights" not in request.of_file:
        # To mean the same whatever the default becomes.
        command += ["--weights", request.labels.weights]
    versions = {"python": build["python"], "numpy": build["numpy"], "scipy": build["scipy"]}
    versions["matplotlib"] = build["extras"]["plot"]["matplotlib"]
    return {
        "command": " ".join(map(quoted, command)),
        "date": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
        "seed": str(request.seed),
        "localgd": build["version"],
        "built by": f"{build['compiler']}, {build['build_type']}, Eigen {build['eigen']}",
        "flags": build["flags"] or "none",
        "instruction set": build["instruction_set"],
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "machine": f"{build['machine']}, {build['cores']} cores, {build['system']}",
        "repeatable": "summary.json and the files of data/ hold no times: on the same machine two "
        "runs give the same bytes; between instruction sets numbers agree to rounding",
    }
