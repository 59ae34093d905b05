"""The process of one contestant.

python -m networks.worker NAME        (started by :mod:`throughput.processes`)
"""

from __future__ import annotations

import sys

from throughput.worker import Contender, serve

from .rivals import CONTESTANTS


def contender() -> Contender:
    from .job import make_job

    return Contender(CONTESTANTS[sys.argv[1]].module, make_job)


if __name__ == "__main__":
    serve(contender)
