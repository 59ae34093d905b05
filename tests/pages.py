"""The Markdown pages of the project: their blocks, their links and what they name."""

from __future__ import annotations

import re
import shlex
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

    @property
    def commands(self) -> Iterator[list[str]]:
        """Those of blocks for the console, and of code spans that begin with a program."""
        for script in self.blocks("console"):
            yield from commands(script)
        for span in self.code_spans:
            if PROGRAM.match(span) and "…" not in span:
                yield from commands(span)


# The programs of this project, and others by which it is set up, built and tested.
PROGRAM = re.compile(
    r"(\w+=\S+ )*(\.ci/\w+|(\S+/)?(localgd_tests|localgd|python|python3|pip|pre-commit)"
    r"|cmake|ctest|ninja|apt-get|brew)( |$)"
)


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command, without variables that are set for it and without sudo."""
    for line in re.sub(r"\\\n\s*", " ", script).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, "&&"]:
            if word in ("&&", ";", "|"):
                if command:
                    yield command
                command = []
            elif command or not re.fullmatch(r"sudo|\w+=.*", word):
                command.append(word)


def pages() -> list[Page]:
    return [Page(path) for path in sources(".md")]
