"""Tables with columns of any kind: texts, categories, booleans, numbers, with gaps in them."""

from __future__ import annotations

from .columns import Columns, read_columns
from .encoder import Encoder, encoded
from .roles import filled_from, labelled, rows_of_frame

__all__ = [
    "Columns",
    "Encoder",
    "encoded",
    "filled_from",
    "labelled",
    "read_columns",
    "rows_of_frame",
]
