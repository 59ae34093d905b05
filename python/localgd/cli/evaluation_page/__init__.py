"""``localgd run --evaluate``: how good the model is, as a page for readers without Python."""

from __future__ import annotations

from .page import page

__all__ = ["page"]
