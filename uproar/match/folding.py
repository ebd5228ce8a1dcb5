"""Folding: a text as words that can be compared. Not which of them are names."""

import re
import unicodedata
from typing import Final, NamedTuple

from uproar.match.lexicon import CLITICS

BREAK: Final = "\x1f"
"""A word that no name contains: nothing is found across it."""

# The letters that Unicode does not take apart, and the Arabic ones that people write both ways.
_LETTERS = {
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
    "Þ": "TH", "ı": "i",
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE",
    "ة": "ه", "ى": "ي", "ی": "ي", "ک": "ك", "ـ": "",
}  # fmt: skip


def _is_accent(char: str) -> bool:
    # Canonical classes: 7 nukta, 10-35 Hebrew and Arabic points, from 202 on accents above and
    # below. Not 0, 8, 9: vowel signs, voicing marks and viramas make other words.
    place = unicodedata.combining(char)
    return place == 7 or 10 <= place <= 35 or place >= 202


class _Unaccent(dict[int, str]):
    """For ``str.translate`` of NFKD text: no accents, case and punctuation kept."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = new = "" if _is_accent(char) else _LETTERS.get(char, char)
        return new


class _Words(dict[int, str]):
    """For ``str.translate``: letters, digits and marks of words stay, all else is a blank."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        letter = char.isalnum() or char in "_&+" or unicodedata.category(char)[0] == "M"
        self[code] = new = char if letter else " "
        return new


class _Folded(dict[int, str]):
    """For ``str.translate`` of NFKD text: :class:`_Unaccent`, case folding, :class:`_Words`."""

    def __missing__(self, code: int) -> str:
        self[code] = new = chr(code).casefold().translate(_UNACCENT).casefold().translate(_WORDS)
        return new


_UNACCENT, _WORDS, _FOLDED = _Unaccent(), _Words(), _Folded()
_ASCII_FOLDED = "".join(_FOLDED[code] for code in range(128))

_ACCOUNT = re.compile(r"@\w[\w.@-]*")
_LINK = re.compile(r"https?://\S+")
_HOST = re.compile(r"www\.\S+")
_EDGE_UNDERSCORES = re.compile(r"\b_+|(?<!_)_++\b")
_APOSTROPHES = "’‘ʼ＇`´"
# Scripts that put no blanks between words: every character is a word, a name is a row of them.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def plain(text: str) -> str:
    """
    Take out of a text what is no word of it, and part words from their clitics; keep the case.

    Links and accounts go (an account leaves ``@``). ``l'Oréal`` becomes two words;
    behind any other apostrophe stands a word of its own kind (``O'Reilly`` holds no ``Reilly``).
    """
    if not text.isascii():
        for apostrophe in _APOSTROPHES:
            text = text.replace(apostrophe, "'")
    if "://" in text:
        text = _LINK.sub(" ", text)
    if "www." in text:
        text = _HOST.sub(" ", text)
    if "@" in text:
        text = _ACCOUNT.sub(" @ ", text)
    if "_" in text:
        text = _EDGE_UNDERSCORES.sub(" ", text)
    if "'" in text:
        text = _without_clitics(text)
    return text


def _without_clitics(text: str) -> str:
    before, *pieces = text.split("'")
    done = [before]
    for piece in pieces:
        if not (before[-1:].isalnum() and piece[:1].isalnum()):
            done.append(f"'{piece}")
        elif _last_word(before) in CLITICS:
            done.append(f" {piece}")
        else:
            done.append(f" _{piece}")
        before = piece
    return "".join(done)


def _last_word(text: str) -> str:
    return text[text.rfind(" ") + 1 :].lstrip('(«"“-—#').casefold()


def folded(text: str) -> str:
    """Return the words of a plain text, folded, one blank between any two."""
    if text.isascii():
        return " ".join(text.translate(_ASCII_FOLDED).split())
    text = unicodedata.normalize("NFKD", text).translate(_FOLDED)
    return " ".join(_spaced(text).split())


def unaccented(text: str) -> str:
    """Return a text without accents, its case and punctuation kept."""
    return unicodedata.normalize("NFKD", text).translate(_UNACCENT)


def fold(name: str) -> str:
    """Return the folded words of a name: what is sought in the folded words of a text."""
    return folded(plain(name))


class Words(NamedTuple):
    """
    The words of a plain text as they were written, without accents: as many as in its folding.

    Attributes:
        words: Each word.
        gaps: What stands before each word, and, last, behind the last.
    """

    words: list[str]
    gaps: list[str]


def written(text: str) -> Words:
    """Return the words of a plain text with their case and what stands between them."""
    text = _spaced(unaccented(text))
    words, gaps, end = [], [], 0
    for match in re.finditer(r"\S+", text.translate(_WORDS)):
        words.append(match[0])
        gaps.append(text[end : match.start()])
        end = match.end()
    return Words(words, [*gaps, text[end:]])


def _spaced(text: str) -> str:
    if not _UNSPACED.search(text := unicodedata.normalize("NFC", text)):
        return text
    return _UNSPACED.sub(r" \g<0> ", text)


# ------------------------------------------------------------------------ words inside of words

_ARABIC = re.compile("[\u0621-\u064a]")
_MOST_WORDS = 1000
_GENITIVES = frozenset({"de", "nl", "sv", "da", "nb", "no"})
_GENITIVE = re.compile(r"(?<=\w{4})s(?= |$)")
_PLURAL_POSSESSIVE = re.compile(r"(?<!\w)(\w{3,60})s'(?!\w)")


def inner_words(text: str, words: str, language: str | None) -> list[str]:
    """
    Return further readings of a plain text, in which words have lost what is attached to them.

    Arabic and/at/by/like/the (with the words behind, for names of several words), the English
    possessive of a plural (``Quillons'``), the Germanic genitive (``Quillons Chef``).

    Args:
        text: As from :func:`plain`.
        words: As from :func:`folded`.
        language: Primary language subtag, None when unknown.
    """
    readings = []
    if "s'" in text:
        readings += [folded(match[1]) for match in _PLURAL_POSSESSIVE.finditer(text)]
    if language in _GENITIVES:
        readings.append(_GENITIVE.sub("", words))
    if not words.isascii() and _ARABIC.search(words):
        readings += _arabic_readings(words.split()[:_MOST_WORDS])
    return readings


def _arabic_readings(words: list[str]) -> list[str]:
    return [
        " ".join([stem, *words[place + 1 : place + 4]])
        for place, word in enumerate(words)
        for stem in _arabic_stems(word)
    ]


def _arabic_stems(word: str) -> set[str]:
    stems = set()
    for conjunction in ("", *"وف"):
        if not word.startswith(conjunction):
            continue
        rest = word.removeprefix(conjunction)
        stems.add(rest)
        for preposition in "بلك":
            if rest.startswith(preposition):
                stems.add(rest[1:])
        if rest.startswith("لل"):
            stems.add("ال" + rest[2:])
    stems |= {stem.removeprefix("ال") for stem in stems}
    return {stem for stem in stems if len(stem) >= 3 and stem != word}
