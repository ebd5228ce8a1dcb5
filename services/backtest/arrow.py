"""Arrow: columns of a Parquet file as arrays of numbers. Needs uproar[parquet]; refuses no row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from uproar.detect.crowd import names_of
from uproar.detect.heard import numbers
from uproar.detector.columns import texts_named
from uproar.errors import Malformed, Misconfigured
from uproar.watch import Array


def pyarrow() -> Any:
    """
    Import it.

    Raises:
        Misconfigured: It is missing, and how to get it.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra of its own
        import pyarrow.compute  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured(
            "a Parquet file needs pyarrow: pip install 'uproar[parquet]'"
        ) from error
    return pa


def nulls(column: Any) -> Array:
    """Return where there is nothing."""
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def floats(column: Any, name: str) -> Array:
    """Return numbers as float64, NaN for null."""
    pa = pyarrow()
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise Malformed(f"{name} is {kind}: a probability is needed")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def truths(column: Any) -> Array:
    """Return a column of booleans, False for null."""
    pa = pyarrow()
    if not (pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        raise Malformed(f"own is {column.type}: true or false is needed")
    column = column.cast(pa.bool_()).fill_null(False)
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def seconds(column: Any) -> tuple[Array, Array]:
    """Return times as seconds since 1970, and where there is none; one without a zone is UTC."""
    pa = pyarrow()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        kind = pa.timestamp("us", "UTC")
        try:
            column = column.cast(kind)
        except pa.ArrowInvalid:  # one of them is none: look at each
            column = pa.array([_moment(text) for text in column.to_pylist()], kind)
    if not pa.types.is_timestamp(column.type):
        raise Malformed(f"time is {column.type}: a timestamp, or RFC 3339 as text, is needed")
    micro = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    return micro.fill_null(0).to_numpy(zero_copy_only=False) / 1e6, nulls(column)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment.tzinfo is not None else None


def encoded(column: Any) -> tuple[Array, list[Any]]:
    """Return the code of each row, -1 for null, and what the codes stand for."""
    if not pyarrow().types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), column.dictionary.to_pylist()


def listed(column: Any) -> tuple[Array, Any]:
    """Return the row of each element of a column of lists, and the elements; one a row if it is none."""
    pa = pyarrow()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        row = pa.compute.list_parent_indices(column).to_numpy(zero_copy_only=False)
        return row.astype(np.int64), column.flatten()
    return np.arange(len(column)), column


class Hashes(NamedTuple):
    """A column of hashes: which rows have one, its name as a number, and what stands there."""

    there: Array
    name: Array
    code: Array
    texts: Sequence[Any] | None

    def of(self, rows: Array) -> list[str | None]:
        """Return those of some rows as text."""
        there, codes, texts = self.there[rows].tolist(), self.code[rows].tolist(), self.texts
        return [
            None if not known else str(code) if texts is None else str(texts[code])
            for known, code in zip(there, codes, strict=True)
        ]

    def pairs(self) -> Array:
        """
        Return the names of what posts say, as :attr:`uproar.detector.Columns.copy` has them.

        Two where a dot stands between, as in :func:`uproar.post.fingerprint`.
        """
        found = np.stack([np.where(self.there, self.name, 0), np.zeros_like(self.name)], axis=1)
        texts = [] if self.texts is None else [str(text) for text in self.texts]
        if any("." in text for text in texts):
            halves = np.append(texts_named(texts), np.zeros((1, 2), np.uint64), axis=0)
            found = np.where(self.there[:, None], halves[self.code], np.uint64(0))
        return found.astype(np.uint64)


def hashes(column: Any | None, rows: int) -> Hashes:
    """Name what stands in a column, texts or whole numbers; nothing in one that is not there."""
    if column is None or pyarrow().types.is_null(column.type):
        nothing = np.zeros(rows, np.int64)
        return Hashes(nothing != 0, nothing.astype(np.uint64), nothing, None)
    if pyarrow().types.is_integer(column.type):
        whole = column.fill_null(0).to_numpy(zero_copy_only=False)
        return Hashes(~nulls(column), numbers(whole.astype(np.uint64)), whole, None)
    codes, texts = encoded(column)
    written = np.array([*(text is not None and text != "" for text in texts), False], bool)
    names = np.append(names_of(map(str, texts)), np.uint64(0))  # -1, the last: null
    return Hashes(written[codes], names[codes], codes, texts)
