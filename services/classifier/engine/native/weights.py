"""Weights: reads what CTranslate2 stores in ``model.bin``, so that both encoders run the same file."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uproar.errors import Misconfigured

VERSION = 6
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32}


def read(file: Path) -> Mapping[str, NDArray[Any]]:
    """
    Read the variables of a model.

    Args:
        file: ``model.bin``, binary version 6.

    Returns:
        Arrays by name, mapped from the file: what is not looked at takes no memory.

    Raises:
        Misconfigured: The file is missing, cut short, or of another version.
    """
    try:
        return _Reader(np.memmap(file, np.uint8, "r")).variables()
    except (OSError, ValueError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: no model of CTranslate2: {error}") from error


class _Reader:
    def __init__(self, raw: NDArray[np.uint8]) -> None:
        self._raw, self._at = raw, 0

    def variables(self) -> dict[str, NDArray[Any]]:
        version = self._number("I")
        if version != VERSION:
            raise ValueError(f"version {version}, this reads {VERSION}")
        self._text()  # the name of the architecture
        self._number("I")  # and its revision
        return dict(self._variable() for _ in range(self._number("I")))

    def _variable(self) -> tuple[str, NDArray[Any]]:
        name = self._text()
        shape = [self._number("I") for _ in range(self._number("B"))]
        type_, size = _TYPES[self._number("B")], self._number("I")
        return name, self._bytes(size).view(type_).reshape(shape)

    def _number(self, format_: str) -> int:
        (value,) = struct.unpack(f"<{format_}", self._bytes(struct.calcsize(format_)).tobytes())
        return int(value)

    def _text(self) -> str:
        return self._bytes(self._number("H")).tobytes().rstrip(b"\x00").decode()

    def _bytes(self, size: int) -> NDArray[np.uint8]:
        part = self._raw[self._at : self._at + size]
        if len(part) != size:
            raise ValueError("the file ends too early")
        self._at += size
        return part
