"""
Seen: a bounded memory of ids that the broker has acknowledged, kept in the data folder.

Two generations of ids, each a table in memory and a file of 16-byte rows (hash of the id, event time)
that is only ever appended to: when the young one is full it becomes the old one. A row is handed to
the operating system before ``remember`` returns, so SIGKILL forgets nothing; a loss of power may
forget the last seconds, and a post sent again then falls to its id further on.
"""

import hashlib
import struct
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from services.ingest.hashes import Hashes

GENERATION = 500_000
"""Ids a generation holds: between one and two generations are remembered, always 16 MB in memory."""

_ROW = struct.Struct("<Qq")


class Seen:
    """Which posts (or authors) have been taken already. Not thread-safe."""

    def __init__(self, folder: Path, *, generation: int = GENERATION) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._size = generation
        self._young_file, self._old_file = folder / "seen.young", folder / "seen.old"
        self._read()

    def _read(self) -> None:
        self._young = Hashes(self._size, (key for key, _ in _rows(self._young_file)))
        self._old = Hashes(self._size, (key for key, _ in _rows(self._old_file)))
        self._log = _open(self._young_file)

    def __contains__(self, post: str) -> bool:
        key = _hash(post)
        return key in self._young or key in self._old

    def knows_well(self, post: str) -> bool:
        """Tell whether an id will still be known once the young generation has become the old one."""
        return _hash(post) in self._young

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def remember(self, posts: Iterable[tuple[str, datetime]]) -> None:
        """Add ids with their event times; call it only once the broker has acknowledged them."""
        rows = [(_hash(post), int(created_at.timestamp())) for post, created_at in posts]
        self._log.write(b"".join(_ROW.pack(key, second) for key, second in rows))
        self._log.flush()
        for key, _ in rows:
            self._young.add(key)
        if len(self._young) >= self._size:
            self._turn()

    def forget_since(self, moment: datetime) -> int:
        """
        Forget the ids of posts written at ``moment`` or later, so that they may be sent again.

        For a broker that lost what it had (the embedded one) and goes on from a snapshot.

        Returns:
            How many rows were forgotten.
        """
        limit, forgotten = int(moment.timestamp()), 0
        self._log.close()
        for path in (self._young_file, self._old_file):
            rows = _rows(path)
            kept = [row for row in rows if row[1] < limit]
            forgotten += len(rows) - len(kept)
            spare = path.with_suffix(".new")
            spare.write_bytes(b"".join(_ROW.pack(*row) for row in kept))
            spare.replace(path)
        self._read()
        return forgotten

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self._log.close()

    def _turn(self) -> None:
        self._log.close()
        self._young_file.replace(self._old_file)
        self._old, self._young = self._young, Hashes(self._size)
        self._log = _open(self._young_file)


def _hash(post: str) -> int:
    digest = hashlib.blake2b(post.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _rows(path: Path) -> list[tuple[int, int]]:
    """Read a file's whole rows; a crash in the middle of a write leaves a part of one, cut off here."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = len(raw) - len(raw) % _ROW.size
    if whole < len(raw):
        with path.open("r+b") as file:
            file.truncate(whole)
    return list(_ROW.iter_unpack(raw[:whole]))


def _open(path: Path) -> BinaryIO:
    return path.open("ab")
