"""Public docstrings are numpydoc and complete: parameters, results, errors, sources, examples.

``[tool.numpydoc_validation]`` in pyproject.toml says which of numpydoc's checks hold.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import localgd as lg
from localgd import methods, partitioning, servers, sweeping

pytest.importorskip("numpydoc")

from numpydoc.docscrape import ClassDoc, FunctionDoc, NumpyDocString
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import validate

CHECKS = parse_config(Path(__file__).parents[1])["checks"]
MODULES = (lg.analysis, lg.datasets, lg.networks, lg.plot, lg.reference, lg.sklearn)
BASES = (methods.Method, partitioning.Scheme)
OF_SCIKIT_LEARN = re.compile(r"set_\w+_request")  # methods that it writes, and their docstrings
LINK = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S|https://\S")


def public() -> dict[str, Any]:
    """Every class and function of the public interface and its methods, by where it is defined."""
    named = [getattr(lg, name) for name in lg.__all__]
    named += [getattr(module, name) for module in MODULES for name in module.__all__]
    found: dict[str, Any] = {}
    for value in [*named, *BASES, sweeping.Sweep]:
        if inspect.ismodule(value):
            continue
        path = f"{value.__module__}.{value.__qualname__}"
        found[path] = value
        for name in vars(value) if inspect.isclass(value) else ():
            member = getattr(value, name)
            if name.startswith("_") or OF_SCIKIT_LEARN.fullmatch(name):
                continue
            if isinstance(member, property) or callable(member):
                found[f"{path}.{name}"] = member
    return found


PUBLIC = public()


@cache
def parsed(name: str) -> NumpyDocString:
    value = PUBLIC[name]
    if inspect.isclass(value):
        return ClassDoc(value, config={"show_class_members": False})
    return FunctionDoc(value)


def overrides(name: str) -> bool:
    """Whether it is a method of a base class, which says what it takes and returns."""
    owner = PUBLIC.get(name.rpartition(".")[0])
    method = name.rpartition(".")[2]
    return inspect.isclass(owner) and any(method in vars(base) for base in owner.__mro__[1:])


def is_result(name: str) -> bool:
    """Whether it is a class that functions return, and nobody makes."""
    return bool(parsed(name)["Attributes"]) and not parsed(name)["Parameters"]


def checks(name: str) -> set[str]:
    """Those of numpydoc's that hold for it."""
    if isinstance(PUBLIC[name], property) or overrides(name):
        return {check for check in CHECKS if check[:2] in ("GL", "SS")}
    return CHECKS - {"PR01", "EX01"} if is_result(name) else CHECKS


@pytest.mark.parametrize("name", PUBLIC)
def test_numpydoc(name):
    found = validate(name)["errors"]
    assert [(check, text) for check, text in found if check in checks(name)] == []


def documented(name: str, *sections: str) -> dict[str, tuple[str, str]]:
    """Type and description of each name in some sections."""
    return {
        single.strip(): (entry.type, " ".join(entry.desc))
        for section in sections
        for entry in parsed(name)[section]
        for single in entry.name.split(",")
    }


def typed(role: str, parameter: str) -> bool:
    """Whether a docstring that another one refers to gives the type of a parameter."""
    end = "." + role.rpartition(".")[2]
    return any(
        documented(name, "Parameters").get(parameter, ("", ""))[0]
        for name in DESCRIBED
        if name.endswith(end)
    )


DESCRIBED = [name for name in PUBLIC if callable(PUBLIC[name]) and not overrides(name)]


@pytest.mark.parametrize("name", DESCRIBED)
def test_parameters_and_attributes_have_a_type(name):
    """Their own, or that of the docstring to which "As for :func:`…`" refers."""
    for parameter, (kind, text) in documented(name, "Parameters", "Attributes").items():
        if not kind and not parameter.startswith("*"):
            role = re.match(r"As for .*?:(?:class|func|meth):`~?([\w.]+)`", text)
            assert role, f"{parameter} has no type and refers to nothing: {text}"
            assert typed(role[1], parameter), f"{role[1]} does not say what {parameter} is"


@pytest.mark.parametrize("name", [name for name in DESCRIBED if is_result(name)])
def test_results_describe_their_fields(name):
    value = PUBLIC[name]
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    assert {field.name for field in fields} <= set(documented(name, "Attributes"))


@pytest.mark.parametrize("name", [name for name in DESCRIBED if parsed(name)["Parameters"]])
def test_what_takes_arguments_says_how_it_refuses_them(name):
    is_method = name.rpartition(".")[0] in PUBLIC
    assert parsed(name)["Raises"] or is_method


def follow_papers() -> list[str]:
    """Methods, servers, ways to deal rows, problems, limits and measures."""
    kinds = (methods.Method, servers.Server, partitioning.Scheme)
    of_modules = {
        getattr(m, n) for m in (lg.analysis, lg.datasets, lg.reference) for n in m.__all__
    }
    functions = {lg.run, lg.fast_forward, *filter(inspect.isfunction, of_modules)}
    return [
        name
        for name, value in PUBLIC.items()
        if value in functions
        or (inspect.isclass(value) and issubclass(value, kinds) and value not in BASES)
    ]


@pytest.mark.parametrize("name", follow_papers())
def test_what_follows_a_paper_names_it(name):
    assert LINK.search(" ".join(parsed(name)["References"]))
