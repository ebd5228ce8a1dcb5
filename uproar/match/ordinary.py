"""
Ordinary words as names: whether "Target" in a text is the company. Not where it was found.

A name is *ordinary* in a language when it has two letters or fewer or each of its words is in the
language's list. In a text of that language (of any, while unknown) it is taken for the name where

1. the word before takes a name (``boycott``, ``dear``, ``chez``), or ``.com`` follows it; else
2. it must be written as in the watch list, at least with a capital, in a text that is not all in
   capitals, behind no French, Spanish or German article, and be no part of a word with a hyphen;
   and then
3. inside a sentence no capitalised neighbour may make a longer name of it ("Manchester United",
   "United Nations"), and
4. at the start of a sentence, where a capital says nothing, the next word must let a company act
   or be spoken to ("Target lost", "Target, why"), or be a verb with its object ("Target pulled the").

German writes every noun with a capital, so there only the first rule holds.
"""

import re
from functools import lru_cache

from uproar.match.folding import Words, fold, plain, written
from uproar.match.lexicon import (
    ADDRESSES,
    ANYWHERE,
    ARTICLES,
    BEFORE_A_NAME,
    COMPANY_WORDS,
    DETERMINERS,
    DOMAINS,
    ENGLISH,
    ENGLISH_GLUE,
    FRENCH,
    FRENCH_GLUE,
    LATIN,
    LEADS,
    PARTICLES,
    SPEAKS,
)

_LISTS = {"en": ENGLISH | ENGLISH_GLUE, "fr": FRENCH | FRENCH_GLUE}
_UNKNOWN = _LISTS["en"] | _LISTS["fr"] | ANYWHERE
_SENTENCE_END = re.compile(r"[.!?:;\n…\"“”«»|•>(\-–—/]")
_SHORT = 2


def ordinary_words(language: str | None) -> frozenset[str]:
    """Return the folded words of a language (primary subtag) that alone prove nothing."""
    if language is None:
        return _UNKNOWN
    if language in LATIN:
        return ANYWHERE
    return _LISTS.get(language, frozenset())


def is_ordinary(name: str, language: str | None) -> bool:
    """Tell whether a folded name is ordinary in a language; None asks for any language."""
    if len(name) <= _SHORT and name.isascii():
        return True
    words = ordinary_words(language)
    return all(word in words for word in name.split())


def guess_language(words: list[str]) -> str | None:
    """Tell English from French by the small words; None where neither has more."""
    english = sum(word in ENGLISH_GLUE for word in words)
    french = sum(word in FRENCH_GLUE for word in words)
    if english == french:
        return None
    return "en" if english > french else "fr"


def shouts(words: Words) -> bool:
    """Tell whether a text is written in capitals, so that a capital says nothing."""
    long = [word for word in words.words if len(word) > 2 and word.isalpha()]
    return len(long) > 2 and sum(word.isupper() for word in long) > len(long) / 2


def names_it(words: Words, first: int, last: int, name: str, *, capitals: bool) -> bool:
    """
    Tell whether the words from ``first`` to ``last`` are the name, and not just the words.

    Args:
        words: The words of the text as written.
        first: Place of the first word.
        last: Place of the last word.
        name: As in the watch list.
        capitals: Whether a capital says anything in this text (:func:`shouts`; not in German).
    """
    before = _Neighbour(words, first - 1, gap=words.gaps[first])
    behind = _Neighbour(words, last + 1, gap=words.gaps[last + 1])
    if before.joined and before.folded in BEFORE_A_NAME:
        return True
    if behind.gap == "." and behind.folded in DOMAINS:
        return True
    if "-" in (before.gap.strip(), behind.gap.strip()) or before.folded in ARTICLES:
        return False
    if not capitals or words.words[first : last + 1] != _as_written(name):
        return False
    if _starts_sentence(words, first):
        return _speaks_or_is_spoken_to(behind) or _acts(words, last + 1)
    return not (
        (before.joined and before.capital and before.folded not in LEADS)
        or (behind.joined and behind.capital and behind.folded not in COMPANY_WORDS | LEADS)
    )


class _Neighbour:
    """The word beside a name, if any, and what stands between."""

    def __init__(self, words: Words, place: int, *, gap: str) -> None:
        word = words.words[place] if 0 <= place < len(words.words) else ""
        self.folded = fold(word)
        self.capital = word[:1].isupper()
        self.gap = gap
        self.joined = bool(word) and gap.strip() in {"", "#"}


def _starts_sentence(words: Words, place: int) -> bool:
    return place == 0 or _SENTENCE_END.search(words.gaps[place]) is not None


def _speaks_or_is_spoken_to(behind: _Neighbour) -> bool:
    if behind.gap.strip() == ",":
        return behind.folded in SPEAKS | ADDRESSES
    longer_name = behind.capital and behind.folded in COMPANY_WORDS
    return behind.folded in SPEAKS or (behind.joined and longer_name)


def _acts(words: Words, place: int) -> bool:
    """Tell whether a verb and its object may stand there: ``pulled the``, ``cut off a``."""
    verb, *behind = words.words[place : place + 3] or [""]
    if not verb.islower() or fold(verb) in LEADS or words.gaps[place].strip(" ,"):
        return False
    skipped = len(behind) == 2 and fold(behind[0]) in PARTICLES
    object_ = place + 2 if skipped else place + 1
    gaps = "".join(words.gaps[place + 1 : object_ + 1])
    return not gaps.strip() and fold("".join(words.words[object_ : object_ + 1])) in DETERMINERS


def in_one_breath(words: Words, first: int, last: int, name: str) -> bool:
    """Tell whether no comma, colon or end of a sentence divides the words, if none does the name."""
    inner = "".join(words.gaps[first + 1 : last + 1])
    return not any(mark in inner and mark not in name for mark in ",;:!?\n")


@lru_cache(maxsize=4096)
def _as_written(name: str) -> list[str]:
    return written(plain(name if name != name.lower() else name.title())).words
