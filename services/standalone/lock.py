"""Lock: one `uproar up` on a data folder at a time; the kernel lets go when the process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uproar.errors import Misconfigured


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """
    Hold a data folder, making it if need be.

    Raises:
        Misconfigured: Another process holds it, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Misconfigured(f"UPROAR_DATA_DIR: cannot use {folder}: {error}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            raise Misconfigured(
                f"{folder} is in use by another `uproar up` (process {holder}):"
                " stop it, or set UPROAR_DATA_DIR to another folder"
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)
