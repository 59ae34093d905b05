"""The modules of the package and its packages import each other in one direction alone."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import localgd as lg

ROOT = Path(lg.__file__).parent
NAME = ROOT.name


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py")}


def imports(name):
    """The modules of the package that one imports, be it within a function."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                wanted = f"{source}.{alias.name}"
                if wanted in MODULES or source in MODULES:
                    yield wanted if wanted in MODULES else source


def cycle_of(graph):
    """The nodes of a cycle; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def graph_of(names, node):
    """Who imports whom; the package itself stands above all of its modules."""
    graph = {}
    for name in names:
        # Whoever imports a module of another package imports that package.
        found = {node(other) for other in imports(name)} - {NAME, node(name)}
        graph.setdefault(node(name), set()).update(found)
    return graph


def test_the_graph_is_that_of_the_imports():
    assert {f"{NAME}.problem", f"{NAME}._validation"} <= set(imports(f"{NAME}.preparation"))
    assert f"{NAME}.smoothness" in imports(f"{NAME}.theory")
    assert f"{NAME}.reference" in imports(f"{NAME}.fast_forwarding.log_time")


@pytest.mark.parametrize("graph", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"a"}}])
def test_cycles_are_found(graph):
    assert cycle_of(graph)


def test_modules_import_each_other_in_one_direction():
    assert not cycle_of(graph_of(set(MODULES) - {NAME}, node=lambda name: name))


PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_each_other_in_one_direction(package):
    """The packages and modules that lie in one, each with all that lies in it as one."""
    depth = package.count(".") + 2

    def member(name):
        return ".".join(name.split(".")[:depth])

    inside = [name for name in MODULES if name.startswith(f"{package}.")]
    graph = graph_of(inside, node=member)
    assert not cycle_of({name: others & graph.keys() for name, others in graph.items()})
