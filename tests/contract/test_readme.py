"""README.md says what the code does: variables, files, commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def variables() -> set[str]:
    found: set[str] = set()
    for file in (ROOT / "services").rglob("*.py"):
        found |= set(
            re.findall(r'validation_alias="(UPROAR_\w+)"', file.read_text(encoding="utf-8"))
        )
    return found


def test_every_variable_stands_in_the_table():
    assert variables()
    assert {name for name in variables() if f"`{name}`" not in README} == set()


def test_every_variable_of_the_table_exists():
    assert set(re.findall(r"`(UPROAR_[A-Z_]+)`", README)) <= variables()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tests|services|uproar|deploy|docs)/[\w./]+)`", README)))
)
def test_every_file_it_names_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w/.-]+)\)", README))))
def test_every_link_leads_somewhere(path):
    assert (ROOT / path).exists()


def test_every_make_target_it_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z0-9-]+)`?", README)):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
