"""Pages of the repository that stand outside docs/, and links to files that are not on the site.

A page of the site that begins with ``<!-- the page ../CHANGELOG.md -->`` is that file. Links
between pages are written as they work in the repository; here they are made to work on the site.
"""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
PLACE = re.compile(r"<!-- the page (\S+) -->")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def elsewhere() -> dict[Path, Path]:
    """The pages that are files outside docs/: of each such file the page."""
    found = {}
    for page in DOCS.rglob("*.md"):
        if place := PLACE.match(page.read_text(encoding="utf-8")):
            found[(page.parent / place[1]).resolve()] = page
    return found


def read(app: Sphinx, docname: str, content: list[str]) -> None:
    """The text of a page, with links as the site has them."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    pages = elsewhere()
    source = page
    if place := PLACE.match(content[0]):
        source = (page.parent / place[1]).resolve()
        content[0] = source.read_text(encoding="utf-8")
        app.env.note_dependency(str(source))

    def link(found: re.Match[str]) -> str:
        text, path, anchor = found[1], found[2], found[3] or ""
        target = (source.parent / path).resolve()
        target = pages.get(target, target)
        if not target.is_relative_to(DOCS):  # a file of the repository
            return text
        return f"[{text}]({relpath(target, page.parent)}{anchor})"

    content[0] = LINK.sub(link, content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
