"""The Markdown pages of the project: their blocks, their links and what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from formatting import ROOT, sources
from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def tokens(self) -> list[Token]:
        return MarkdownIt("gfm-like", {"linkify": False}).parse(self.path.read_text("utf-8"))

    @property
    def inline(self) -> Iterator[Token]:
        for token in self.tokens:
            yield from token.children or ()

    def blocks(self, language: str) -> list[str]:
        return [t.content for t in self.tokens if t.type == "fence" and t.info == language]

    @property
    def programs(self) -> Iterator[tuple[str, str]]:
        """Each block of Python, and what the block of text says that follows at once, if any."""
        for token, after in zip(self.tokens, [*self.tokens[1:], None], strict=True):
            if token.type == "fence" and token.info == "python":
                said = after is not None and after.type == "fence" and after.info == "text"
                yield token.content, after.content if said else ""

    @property
    def code_spans(self) -> list[str]:
        return [token.content for token in self.inline if token.type == "code_inline"]

    @property
    def links(self) -> list[str]:
        targets = {"link_open": "href", "image": "src"}
        return [str(t.attrs[targets[t.type]]) for t in self.inline if t.type in targets]

    @cached_property
    def anchors(self) -> set[str]:
        """Those of its headings, as GitHub makes them."""
        titles = [
            "".join(part.content for part in inline.children or ())
            for token, inline in zip(self.tokens, self.tokens[1:], strict=False)
            if token.type == "heading_open"
        ]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def pages() -> list[Page]:
    return [Page(path) for path in sources(".md")]
