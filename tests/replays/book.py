"""Book: the runs that are over, kept in a file, so that a campaign goes on where it was."""

import subprocess
from hashlib import blake2b
from pathlib import Path

import msgspec

from services.classifier import engine
from tests.replays.run import Told
from tests.shared import ROOT

CODE = ("uproar", "services", "schemas")


class Done(msgspec.Struct):
    """
    One run that is over.

    Attributes:
        code: Of which it is: another code's runs do not count.
        part: Which posts: a stream, or a slice of it.
        expected: What the back-test says.
        differences: What the product tells otherwise.
    """

    code: str
    name: str
    stream: str
    part: str
    partitions: int
    speed: float | None
    seconds: float
    expected: list[Told]
    differences: list[str]


def version() -> str:
    """Return what the code of the product is, changes included that are not committed."""
    command = ["git", "ls-tree", "HEAD", *CODE]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    changes = subprocess.run(
        ["git", "diff", "HEAD", "--", *CODE], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    digest = blake2b((tree + changes).encode(), digest_size=8).hexdigest()
    return f"{digest} {engine.load().name}"


def read(path: Path, code: str) -> dict[str, Done]:
    """Read the runs of this code that are over."""
    if not path.exists():
        return {}
    whole = path.read_bytes().rpartition(b"\n")[0]  # an interrupted campaign may leave half a line
    done = [msgspec.json.decode(line, type=Done) for line in whole.splitlines()]
    return {one.name: one for one in done if one.code == code}


def add(path: Path, one: Done) -> None:
    """Write a run down."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(one) + b"\n")
