"""Vocabulary: keep the pieces that are used, before training. Rows of a tokenizer.json and no more."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_SCRIPTS = ("LATIN", "ARABIC", "DEVANAGARI")
_SINGLE = 1_000_000  # a single character is worth more than any count: without it, all is unknown


def choose(file: Path, texts: Iterable[str], size: int) -> list[int]:
    """
    Choose the pieces to keep.

    Single characters first, then pieces by their uses in ``texts``, then the most common ones of
    the base (ids are in the order of frequency there).

    Args:
        file: ``tokenizer.json`` of the base.
        texts: Normalised texts to count in.
        size: Pieces to keep.

    Returns:
        Their ids in ascending order; the four special pieces are the first.
    """
    tokenizer = Tokenizer.from_file(str(file))
    uses: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts)):
        uses.update(encoding.ids)
    pieces = [piece for piece, _ in json.loads(file.read_text("utf-8"))["model"]["vocab"]]
    candidates = range(len(SPECIAL), len(pieces) - 1)  # the last is <mask>

    def worth(piece: int) -> tuple[int, int]:
        single = _SINGLE if len(pieces[piece].lstrip("▁")) <= 1 and _known(pieces[piece]) else 0
        return single + uses[piece], -piece

    kept = sorted(candidates, key=worth, reverse=True)[: size - len(SPECIAL)]
    return [*range(len(SPECIAL)), *sorted(kept)]


def _known(piece: str) -> bool:
    """Letters of the scripts the model is trained on; digits, symbols and emoji of any."""
    return all(
        not character.isalpha() or unicodedata.name(character, "").startswith(_SCRIPTS)
        for character in piece
    )


def prune(file: Path, kept: list[int]) -> str:
    """Return the ``tokenizer.json`` with the kept pieces alone, renumbered in their order."""
    tokenizer: dict[str, Any] = json.loads(file.read_text("utf-8"))
    vocab = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = [vocab[piece] for piece in kept]
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] in SPECIAL]
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
