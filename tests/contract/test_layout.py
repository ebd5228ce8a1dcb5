"""What the house looks like: names, docstrings, weights, paths, and what is loaded when."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import ROOT

DRAWERS = {
    "util", "utils", "common", "misc", "base", "core", "manager", "managers", "helper", "helpers",
    "shared", "stuff", "tools", "lib", "types", "constants",
}  # fmt: skip
IO_CALLS = {"open", "print", "input", "eval", "exec", "compile", "__import__"}
IO_METHODS = {"read_text", "write_text", "read_bytes", "write_bytes", "tofile", "fromfile"}
MEGABYTE = 1024 * 1024
# Put together, so that this file does not name what it forbids.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/$}-])/(?:"
    + "|".join(["wor" + "k", "roo" + "t", r"hom" + r"e/\w+", r"User" + r"s/\w+"])
    + ")/"
)


def modules(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def label(path):
    return str(path.relative_to(ROOT))


def tracked():
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if git.returncode:
        pytest.skip("not a checkout: git does not list its files")
    paths = (ROOT / name for name in git.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


# ------------------------------------------------------------------------------- the library


def io_calls(source):
    """Return the names of what reads, writes or runs text in a source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in IO_CALLS else []
        if isinstance(node, ast.Attribute) and node.attr in IO_METHODS:
            found.append(node.attr)
    return found


def test_the_library_opens_prints_and_runs_nothing():
    found = {label(path): io_calls(path.read_text("utf-8")) for path in modules("uproar")}
    assert {path: calls for path, calls in found.items() if calls} == {}


def test_the_look_at_calls_sees_them():
    assert io_calls("with open('x') as f: print(f)\npath.read_text()") == [
        "open",
        "print",
        "read_text",
    ]
    assert io_calls("re.compile('x'); reopen(); _open()") == []


# ----------------------------------------------------------------------------- names and words


def drawers(path):
    parts = {part.removesuffix(".py").removeprefix("test_") for part in path.parts}
    return sorted(parts & DRAWERS)


def test_no_file_or_folder_is_a_drawer():
    paths = {path.relative_to(ROOT) for path in modules("uproar", "services", "schemas", "tests")}
    paths.remove(Path("tests/shared.py"))  # where ../shared is
    assert [str(path) for path in sorted(paths) if drawers(path)] == []


def test_the_look_at_names_sees_drawers():
    assert drawers(Path("services/common.py")) == ["common"]
    assert drawers(Path("uproar/utils/text.py")) == ["utils"]
    assert drawers(Path("uproar/database.py")) == []


def first_line(source):
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return docstring.partition("\n")[0]


def test_every_module_says_in_one_line_what_it_is():
    lines = {
        label(path): first_line(path.read_text("utf-8"))
        for path in modules("uproar", "services", "schemas")
        if "versions" not in path.parts  # migrations: their names say what they do
    }
    assert {
        path: line
        for path, line in lines.items()
        if not 10 <= len(line) <= 105 or line[-1] not in ".:"
    } == {}


def test_the_look_at_docstrings_sees_none():
    assert first_line("import x\n") == ""
    assert first_line('"""One.\n\nTwo."""') == "One."


# ------------------------------------------------------------------------------ tracked files


def test_the_weights_stay_small():
    weights = [path for path in tracked() if "weights" in path.relative_to(ROOT).parts]
    models: dict[Path, int] = {}
    for path in weights:
        models[path.parent] = models.get(path.parent, 0) + path.stat().st_size
    assert sum(models.values()) <= 60 * MEGABYTE
    assert max(models.values(), default=0) <= 35 * MEGABYTE


def machine_paths(text):
    return MACHINE_PATH.findall(text)


def test_no_tracked_file_names_a_place_of_one_machine():
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # weights and the like
        found += [
            f"{label(path)}: {line.strip()[:120]}"
            for line in text.splitlines()
            if machine_paths(line)
        ]
    assert found == []


@pytest.mark.parametrize(
    "name", ["wor" + "k/main", "roo" + "t/.cache", "hom" + "e/jane/x", "User" + "s/j/x"]
)
def test_the_look_at_paths_sees_them(name):
    assert machine_paths(f"open('/{name}')")
    assert machine_paths(f"cd /{name}")
    assert not machine_paths(f"https://example.org/{name}")


# -------------------------------------------------------------------------------- what is loaded

HEAVY = {"torch", "transformers"}
_LOAD = """
import importlib, sys
sys.argv = ["uproar", "--help"]
module = importlib.import_module(sys.stdin.read())
if module.__name__ == "services.cli":
    try:
        module.main()
    except SystemExit as end:
        assert end.code in (0, None), end.code
print("LOADED", *sorted(name for name in sys.modules if "." not in name))
"""


@pytest.mark.parametrize(
    "name",
    [
        "services.cli",
        "services.demo.run",
        "services.standalone",
        "services.ingest.app",
        "services.alerter.app",
        "services.classifier.app",
        "services.backtest",
    ],
)
def test_nothing_that_runs_without_torch_loads_it(name):
    place = ROOT.joinpath(*name.split("."))
    if not (place.with_suffix(".py").is_file() or place.is_dir()):
        pytest.skip(f"{name} is not built yet")
    run = subprocess.run(
        [sys.executable, "-c", _LOAD],
        input=name,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    *_, last = run.stdout.splitlines()
    loaded = set(last.split()[1:])
    assert "services" in loaded
    assert not loaded & HEAVY
