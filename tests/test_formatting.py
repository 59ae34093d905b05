"""All files are as the formatters leave them, and no line is wider than 100 columns."""

from __future__ import annotations

import shutil

import formatting
import pytest

pytestmark = pytest.mark.skipif(not formatting.is_checkout(), reason="needs a checkout")


@pytest.mark.parametrize("name", formatting.TOOLS)
def test_files_are_formatted(name):
    if shutil.which(formatting.tool(name)[0]) is None:
        pytest.skip(f"{name.split()[0]} is not installed: it comes with the extra 'test'")
    done = formatting.run(name, check=True)
    assert done.returncode == 0, f"run python tests/formatting.py\n{done.stdout}"


def test_no_line_is_too_wide():
    assert list(formatting.long_lines()) == []
