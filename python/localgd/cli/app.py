"""The commands, which are loaded when they are called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from .. import __version__
from .errors import USER_ERRORS, text_of
from .job import JobError, report
from .methods import SHELL_METHODS
from .screen import Screen

__all__ = ["app", "call"]

HELP_OF_RUN = "\n".join(
    [
        "Run a method and compare it with the model that it converges to.",
        "",
        "Without options: Local-GD on MNIST digits 0 against 1, 10 clients, 100 local steps, "
        "10,000 rounds.",
        "",
        *(f"{name:<17}  {entry.line}" for name, entry in SHELL_METHODS.items()),
    ]
)

app = App(
    name="localgd",
    help="Local-update training (Local-GD, FedAvg) of linear models at long horizons.",
    help_format="plaintext",
    version=f"localgd {__version__}",
    default_parameter=Parameter(allow_repeating=True, negative_iterable=()),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.command("localgd.cli.commands:run", name="run", help=HELP_OF_RUN)
app.command(
    "localgd.cli.commands:reproduce",
    name="reproduce",
    help="Try the claims of the theory and its open questions, and write a report.",
)
app.command(
    "localgd.cli.commands:sweep",
    name="sweep",
    help="Run every combination of the settings in a TOML file, a study.",
)
app.command(
    "localgd.cli.commands:status",
    name="status",
    help="Say how far a study is, and whether its data are as they were.",
)
app.command(
    "localgd.cli.commands:rerun",
    name="rerun",
    help="Run a study again and say which runs have the same bits.",
)
app.command(
    "localgd.cli.info:info",
    name="info",
    help="Show how this copy of localgd was built, and on what it runs.",
)


def call(arguments: Sequence[str] | None) -> int:
    """Run the command of these words; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return app(arguments) or 0
    except BrokenPipeError:  # the reader has closed the pipe
        return 0
    except JobError as error:
        said = error.said
    except (CycloptsError, *USER_ERRORS) as error:
        said = text_of(error)
        if "--mpi" in words:
            said = report(said)
    if said is not None:
        Screen().error(said)
    return 2
