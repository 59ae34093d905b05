"""localgd itself, as a user calls it."""

from __future__ import annotations

import numpy as np
from throughput.rivals.form import Form
from throughput.rivals.with_localgd import SingleRun, run

from ..job import NetworkJob


def expected(job: NetworkJob, rounds: int) -> np.ndarray:
    """The parameters with which rivals are compared: W and V, row by row in one column."""
    return run(job, job.case.lr, rounds).weights[:, None]


FORMS = (Form("run", "localgd", SingleRun),)
