"""
Hashtags: names as parts of one (``#BoycottAirQuillon``). Not whose names they are.

Capitals, digits and ``_`` divide a tag into parts, and a name may be a row of whole parts. Or the
tag is, letter by letter, a chain of names, digits and words of the lexicon. A chain tells something
when one of its words has four letters or is said against somebody: ``#quillonis`` might as well be
about a Quillonis. Names that are ordinary words need a word against somebody: ``#FreePalestine``
and ``#targetpractice`` are about nobody we know.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick

from uproar.match.folding import fold, unaccented
from uproar.match.lexicon import AGAINST, BESIDE

_TAG = re.compile(r"[#＃]([\w\u0300-\u036f\u064b-\u065f\u0900-\u0dff]+)")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\x00-\x7f]+")
_LONGEST_TAG: Final = 100

# What the words of a chain prove, as bits: that there is one; a word of four letters or more; a
# word against somebody.
_CHAIN, _TELLING, _HOSTILE = 1, 2, 4


class NameInTag(NamedTuple):
    """
    A name in a tag.

    Attributes:
        name: Its place in the names that the reader was given.
        start: Its first letter in the tag without ``_``.
        end: Behind its last letter.
        clear: It is a row of whole parts, or in a chain that tells something.
        hostile: It is in a chain with a word against somebody.
    """

    name: int
    start: int
    end: int
    clear: bool
    hostile: bool


class TagReader:
    """Finds names in tags, all in one pass over each tag."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names as :func:`squeeze` makes them."""
        names, words = list(names), sorted(AGAINST | BESIDE)
        self._count = len(names)
        self._proofs = [0] * len(names) + [_proof(word) for word in words]
        self._automaton = AhoCorasick([*names, *words])

    def read(self, text: str) -> Iterable[list[NameInTag]]:
        """Return, for each tag of a text with names in it, all of them, nested ones as well."""
        for tag in _TAG.findall(text):
            if names := self._read(tag[:_LONGEST_TAG]):
                yield names

    def _read(self, tag: str) -> list[NameInTag]:
        tag = tag if tag.isascii() else unaccented(tag)
        squeezed = tag.replace("_", "").casefold()
        matches = self._automaton.find_matches_as_indexes(squeezed, overlapping=True)
        if not any(index < self._count for index, _, _ in matches):
            return []
        links = [(start, end, self._proofs[index]) for index, start, end in matches]
        cuts = [0]
        for part in _PART.findall(tag):
            cuts.append(cuts[-1] + len(part))
            if part.isdigit():
                links.append((cuts[-2], cuts[-1], 0))
        ahead, behind = _chains(links, len(squeezed))
        names = []
        for index, start, end in matches:
            if index < self._count:
                proof = ahead[start] | behind[end] if ahead[start] and behind[end] else 0
                clear = bool(proof & _TELLING) or (start in cuts and end in cuts)
                names.append(NameInTag(index, start, end, clear, bool(proof & _HOSTILE)))
        return names


def squeeze(name: str) -> str:
    """Return a name as it stands in a folded tag: letters and digits alone."""
    return fold(name).translate(_NO_BLANKS)


_NO_BLANKS = str.maketrans("", "", " _&+")


def _proof(word: str) -> int:
    if word in AGAINST:
        return _TELLING | _HOSTILE
    return _TELLING if len(word) >= 4 else 0


def _chains(links: list[tuple[int, int, int]], length: int) -> tuple[list[int], list[int]]:
    """Return what chains from the start prove at each place, and what chains to the end do."""
    ahead, behind = [0] * (length + 1), [0] * (length + 1)
    ahead[0] = behind[length] = _CHAIN
    for start, end, proof in sorted(links):
        if ahead[start]:
            ahead[end] |= ahead[start] | proof
    for start, end, proof in sorted(links, key=lambda link: -link[1]):
        if behind[end]:
            behind[start] |= behind[end] | proof
    return ahead, behind
