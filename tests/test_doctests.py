"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import localgd

MODULES = ["localgd"] + [
    info.name
    for info in pkgutil.walk_packages(localgd.__path__, "localgd.")
    if "_core_" not in info.name and not info.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for extra in ("matplotlib", "sklearn", "mlxtend", "pandas", "rich", "cyclopts", "pydantic"):
        pytest.importorskip(extra)
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.failed == 0
