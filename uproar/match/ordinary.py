"""
Ordinary words as names: whether "Target" in a text is the company. Not where it was found.

A name is *ordinary* in a language when it has two letters or fewer or each of its words is in the
language's list. In a text of that language (of any, while unknown) it is taken for the name where

1. the word before takes a name (``boycott``, ``dear``, ``chez``), or ``.com`` follows it; else
2. it must be written as in the watch list, at least with a capital, in a text that is not all in
   capitals, and be no part of a word with a hyphen; and then
3. inside a sentence no capitalised neighbour may make a longer name of it ("Manchester United",
   "United Nations"), and
4. at the start of a sentence, where a capital says nothing, the next word must let a company act
   or be spoken to ("Target lost my order", "Target, why").
"""

import re

from uproar.match.folding import Words, fold, plain, written
from uproar.match.lexicon import (
    ANYWHERE,
    BEFORE_A_NAME,
    COMPANY_WORDS,
    DOMAINS,
    ENGLISH,
    ENGLISH_GLUE,
    FRENCH,
    FRENCH_GLUE,
    LATIN,
    LEADS,
    SPEAKS,
)

_UNKNOWN = ENGLISH | FRENCH | ANYWHERE
_SENTENCE_END = re.compile(r"[.!?:;\n…\"“”«»|•>(\-–—/]")
_SHORT = 2


def ordinary_words(language: str | None) -> frozenset[str]:
    """Return the folded words of a language (primary subtag) that alone prove nothing."""
    if language is None:
        return _UNKNOWN
    if language in LATIN:
        return ANYWHERE
    return {"en": ENGLISH, "fr": FRENCH}.get(language, frozenset())


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


def names_it(words: Words, first: int, last: int, name: str) -> bool:
    """
    Tell whether the words from ``first`` to ``last`` are the name, and not just the words.

    Args:
        words: The words of the text as written.
        first: Place of the first word.
        last: Place of the last word.
        name: As in the watch list.
    """
    before = _Neighbour(words, first - 1, gap=words.gaps[first])
    behind = _Neighbour(words, last + 1, gap=words.gaps[last + 1])
    if before.joined and before.folded in BEFORE_A_NAME:
        return True
    if behind.gap == "." and behind.folded in DOMAINS:
        return True
    if "-" in (before.gap.strip(), behind.gap.strip()) or shouts(words):
        return False
    if words.words[first : last + 1] != _as_written(name):
        return False
    if _starts_sentence(words, first):
        return behind.folded in SPEAKS
    longer = before.joined and before.capital and before.folded not in LEADS
    return not longer and not (
        behind.joined and behind.capital and behind.folded not in COMPANY_WORDS | LEADS
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


def _as_written(name: str) -> list[str]:
    return written(plain(name if name != name.lower() else name.title())).words
