"""Writes what experiments found: one HTML file, SVG figures, CSV data and a summary as JSON."""

from __future__ import annotations

from .write import About, Report

__all__ = ["About", "Report"]
