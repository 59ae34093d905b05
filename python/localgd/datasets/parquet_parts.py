"""The rows of some clients of a Parquet file, or of a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from .columns import client_ids

__all__ = ["ClientsOfPart", "Part", "check_part"]

Part = tuple[int, int]  # which one, of how many


def check_part(part: Any) -> Part:
    """(rank, size) as ints."""
    try:
        rank, size = part
    except (TypeError, ValueError):
        raise TypeError(f"part: got {part!r}; want a pair (rank, size)") from None
    size = check.integer("part: size", size, 1)
    rank = check.integer("part: rank", rank, 0)
    if rank >= size:
        raise ValueError(f"part: got rank {rank} of {size}; want one from 0 to {size - 1}")
    return rank, size


class ClientsOfPart:
    """A data set of Parquet of which only consecutive clients are read."""

    def __init__(self, path: Path, part: Part):
        dataset = check.require("pyarrow.dataset", "data", "reading a part of .parquet files")
        self._dataset = dataset.dataset(path, format="parquet", partitioning="hive")
        self._part = part

    @property
    def schema(self) -> Any:
        """The names and types of the columns."""
        return self._dataset.schema

    def read(self, client: str, label: str) -> tuple[Any, list[Any], list[Any]]:
        """The rows of the part as a table; the labels and the ids that there are in all parts."""
        import pyarrow
        from pyarrow import compute

        counts: dict[Any, int] = {}
        labels: dict[Any, None] = {}
        for batch in self._dataset.to_batches(columns=[client, label]):
            found = compute.value_counts(batch.column(0))
            for id, count in zip(
                found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True
            ):
                counts[id] = counts.get(id, 0) + count
            labels |= dict.fromkeys(compute.unique(batch.column(1)).to_pylist())
        own = self._own(counts, client)
        kind = self.schema.field(client).type
        column = compute.field(client)
        if pyarrow.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        table = self._dataset.to_table(filter=column.isin(pyarrow.array(own, type=kind)))
        return table, list(labels), list(counts)

    def _own(self, counts: dict[Any, int], client: str) -> list[Any]:
        """The clients whose middle row falls to the part, in the order of their ids."""
        rank, size = self._part
        ids = list(counts)
        order = np.argsort(client_ids(ids, lambda *_: f"column {client!r}"), kind="stable")
        rows = np.array([counts[ids[k]] for k in order])
        middles = np.cumsum(rows) - rows / 2
        parts = np.floor(size * middles / rows.sum()).astype(int)
        return [ids[k] for k in order[parts == rank]]
