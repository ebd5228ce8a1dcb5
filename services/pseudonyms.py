"""Pseudonyms: the key under which accounts are hashed, and those that were used before it."""

import hashlib
import os
import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr

from services.process import Settings
from uproar.errors import Misconfigured

FILE: Final = "pseudonym.key"
PREVIOUS: Final = "pseudonym.previous"


class PseudonymSettings(Settings):
    """``UPROAR_PSEUDONYM_KEY`` and its forerunners; without them, files in the data folder."""

    pseudonym_key: SecretStr | None = Field(default=None, validation_alias="UPROAR_PSEUDONYM_KEY")
    pseudonym_previous: SecretStr | None = Field(
        default=None, validation_alias="UPROAR_PSEUDONYM_PREVIOUS_KEYS"
    )

    def secret_of_pseudonyms(self) -> bytes:
        """
        Return the key of the pseudonyms (64 bytes).

        Without ``UPROAR_PSEUDONYM_KEY`` it is made once and kept in the data folder, for its owner
        alone: with another key the same author would count as two.

        Raises:
            Misconfigured: The data folder cannot be used.
        """
        return digest(_given(self.pseudonym_key) or _own_key(self.data_dir))

    def known_secret(self) -> bytes | None:
        """Return the same key where there is one, and make none. Raises Misconfigured."""
        given = _given(self.pseudonym_key) or _kept(self.data_dir / FILE)
        return digest(given) if given else None

    def secrets_of_pseudonyms(self) -> tuple[bytes, ...]:
        """
        Return every key under which something may be stored, the present one first.

        Raises:
            Misconfigured: There is none, or a file cannot be read.
        """
        present = _given(self.pseudonym_key) or _kept(self.data_dir / FILE)
        before = [
            *re.split(r"[,\s]+", _given(self.pseudonym_previous)),
            *_kept(self.data_dir / PREVIOUS).split(),
        ]
        found = [key for key in (present, *before) if key]
        if not found:
            raise Misconfigured(
                "the key of the pseudonyms is not known here: set UPROAR_PSEUDONYM_KEY as ingest "
                "has it, or UPROAR_DATA_DIR to its data folder"
            )
        return tuple(map(digest, dict.fromkeys(found)))

    def rotate(self, *, now: datetime) -> Path:
        """
        Put a new key into the data folder; the old one is kept beside it, for ``find`` and ``erase``.

        Returns:
            Where the old keys are.

        Raises:
            Misconfigured: The key comes from the environment, there is none, or the folder cannot
                be written.
        """
        if _given(self.pseudonym_key):
            raise Misconfigured(
                "the key comes from UPROAR_PSEUDONYM_KEY: put it into UPROAR_PSEUDONYM_PREVIOUS_KEYS"
                " and set a new one, then start ingest anew"
            )
        path, before = self.data_dir / FILE, self.data_dir / PREVIOUS
        old = _kept(path)
        if not old:
            raise Misconfigured(f"there is no {path} to rotate: ingest makes it at its first start")
        spare = path.with_suffix(f".new-{int(now.timestamp())}")
        try:
            _write(before, f"{old}\n{_kept(before)}".strip() + "\n")  # the old one is safe first
            _write(spare, secrets.token_hex(32))
            spare.replace(path)
        except OSError as error:
            raise Misconfigured(f"cannot rotate {path}: {error}") from error
        return before


def digest(key: str) -> bytes:
    """Make a key of any length one of 64 bytes."""
    return hashlib.blake2b(key.encode()).digest()


def _given(value: SecretStr | None) -> str:
    return value.get_secret_value().strip() if value else ""


def _kept(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"UPROAR_DATA_DIR: cannot use {path}: {error}") from error


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there whole or not at all."""
    spare = path.with_name(f"{path.name}.part")
    spare.unlink(missing_ok=True)
    with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    spare.replace(path)


def _own_key(folder: Path) -> str:
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_text(encoding="ascii").strip()
        else:
            key = secrets.token_hex(32)
            with os.fdopen(file, "w", encoding="ascii") as out:
                out.write(key)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"UPROAR_DATA_DIR: cannot use {path}: {error}") from error
    if not key:
        raise Misconfigured(f"{path} is empty: remove it, or set UPROAR_PSEUDONYM_KEY")
    return key
