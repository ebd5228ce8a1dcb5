"""Tokens: texts -> ids of equal-length batches, the same way in training and in serving."""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Encoding
from tokenizers import Tokenizer as Pieces

from uproar.errors import Misconfigured

MAX_TOKENS = 128
_MAX_RAW = 16_384  # characters looked at before links are folded
_MAX_TEXT = 2_048  # characters handed to the tokeniser: far more than 128 tokens need
_UNKNOWN = "<unk>"

_LINK = re.compile(r"(?:https?://|www\.)\S*", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w@])@\w+(?:\.\w+)*")


def normalise(text: str) -> str:
    """
    Write a text as the training data has it: NFC, links as ``http``, handles as ``@user``.

    Null bytes and lone surrogates become blanks; runs of blanks are folded; at most 2,048
    characters are kept.
    """
    text = _sound(text[:_MAX_RAW])
    if "&" in text:
        text = _sound(html.unescape(text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "://" in text or "www." in text.lower():
        text = _LINK.sub("http", text)
    if "@" in text:
        text = _HANDLE.sub("@user", text)
    return " ".join(text.split())[:_MAX_TEXT]


def _sound(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\x00", " ")


class Tokeniser:
    """A ``tokenizer.json`` with the length cap of the model."""

    def __init__(self, file: Path) -> None:
        try:
            self._pieces = Pieces.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise Misconfigured(f"{file}: not a tokenizer.json ({error})") from error
        self._pieces.no_padding()
        self._pieces.enable_truncation(MAX_TOKENS)
        self._unknown = self._pieces.token_to_id(_UNKNOWN)

    def encode(self, texts: Sequence[str]) -> list[list[int] | None]:
        """
        Turn raw texts into token ids, in their order.

        Returns:
            At most 128 ids each, start and end included; None where the model can read less than
            half of the characters: an empty text, or a script that its vocabulary lacks.
        """
        clean = [normalise(text) for text in texts]
        encodings = self._pieces.encode_batch_fast(clean)
        return [self._ids(text, encoding) for text, encoding in zip(clean, encodings, strict=True)]

    def _ids(self, text: str, encoding: Encoding) -> list[int] | None:
        ids: list[int] = encoding.ids
        if not text or (self._unknown in ids and not self._readable(self._pieces.encode(text))):
            return None
        return ids

    def _readable(self, encoding: Encoding) -> bool:
        """Say whether half of the characters are known, by their places, which the fast way omits."""
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        seen = unread = 0
        for token, (start, end) in spans:
            seen += end - start
            unread += end - start if token == self._unknown else 0
        return 2 * unread < seen


def equal_length_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """
    Group positions of texts of the same length, so that nothing is ever padded.

    Args:
        lengths: Length of each text in tokens; 0 leaves a text out.
        budget: Most tokens in a batch; a longer text is a batch of its own.

    Yields:
        Positions into ``lengths``, shortest texts first.
    """
    groups: dict[int, list[int]] = {}
    for position, length in enumerate(lengths):
        if length:
            groups.setdefault(length, []).append(position)
    for length, positions in sorted(groups.items()):
        size = max(1, budget // length)
        for start in range(0, len(positions), size):
            yield positions[start : start + size]
