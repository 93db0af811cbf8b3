"""The house as a whole: no circle of imports, no class and no room that grows too large, plain docstrings."""

from __future__ import annotations

import ast
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import napari_samv1

ROOT = Path(napari_samv1.__file__).parent
MOST_METHODS = 25
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
NAME = f"{ROOT.name}."
# a view names the predictor that makes it, in its annotations alone
BY_NAME = {"engine.view": "engine.predictor"}


def imports(tree: ast.Module) -> set[str]:
    """Files of the package that a file imports, also for its annotations alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(NAME):
            module = str(node.module).removeprefix(NAME)
            for name in node.names:
                inner = f"{module}.{name.name}"
                found.add(inner if inner in FILES else module)
        elif isinstance(node, ast.Import):
            found |= {name.name.removeprefix(NAME) for name in node.names if name.name.startswith(NAME)}
    return found & FILES.keys()


def test_no_files_import_each_other_in_a_circle():
    graph = {name: imports(ast.parse(path.read_text(encoding="utf-8"))) for name, path in FILES.items()}
    for name, other in BY_NAME.items():
        graph[name].remove(other)
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def test_no_class_has_more_than_25_public_methods():
    counts = {}
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                counts[f"{name}.{node.name}"] = sum(not one.startswith("_") for one in methods)
    assert {name: count for name, count in counts.items() if count > MOST_METHODS} == {}


def test_no_room_is_a_fifth_of_the_lines():
    lines = Counter(
        {
            name: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py"))
            for name, folder in ((one.name, one) for one in ROOT.iterdir() if one.is_dir())
        }
    )
    [(largest, count)] = lines.most_common(1)
    assert count < lines.total() / 5, f"{largest}: {count} of {lines.total()} lines"


def test_docstrings_begin_with_a_noun_or_a_verb():
    asking = re.compile(
        r"\s*(what|where|when|whether|which|that|who|whose|how|those|nobody)\b", re.IGNORECASE
    )
    found = [
        f"{name}:{node.lineno}: {node.value.value}"
        for name, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        # also a string after an assignment, which documents a constant or a field
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str) and asking.match(node.value.value)
    ]
    assert found == []
