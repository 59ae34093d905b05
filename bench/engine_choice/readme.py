"""The table in ``bench/README.md``, made from the files of ``bench/results/engine_choice/``."""

from __future__ import annotations

import json
from pathlib import Path

from throughput.readme import README, replaced, table
from throughput.results import RESULTS as ALL_RESULTS

__all__ = ["README", "RESULTS", "renewed"]

RESULTS = ALL_RESULTS / "engine_choice"
BEGIN = "<!-- made of results/engine_choice/*.json by python bench/engine_choice --table -->"
END = "<!-- end of the engines -->"
COLUMNS = {
    "processor": "machine",
    "instruction set": "instruction_set",
    "chosen engine": "summary",
    "measured": "date",
    "commit": "commit",
}


def renewed(page: str, folder: Path = RESULTS) -> str:
    """The page with the table of the results as they are now."""
    found = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    rows = [[results.get(name, "–") for name in COLUMNS.values()] for results in found]
    return replaced(page, BEGIN, END, table(COLUMNS, rows))
