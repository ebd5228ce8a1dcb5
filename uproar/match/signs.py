"""Signs: what is sought in a text for a subject, each way to write it. Not where it was found."""

from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from uproar.match.folding import fold, unaccented
from uproar.match.hashtags import squeeze
from uproar.match.ordinary import is_ordinary
from uproar.subject import Kind, Subject, SubjectId

_SHORTEST_SQUEEZED: Final = 5
_SHORTEST_IN_TAG: Final = 4
_APOSTROPHES: Final = ("'", "’")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


class Role(Enum):
    """What finding a sign means."""

    NAME = auto()  # a name or alias: has to prove itself where it is an ordinary word
    KEYWORD = auto()  # taken as it is
    COVER = auto()  # excluded: what it overlaps does not count
    BAN = auto()  # excluded: with it nothing counts but an account


class Sign(NamedTuple):
    """
    A name, keyword or excluded phrase of a subject.

    Attributes:
        subject: Whose it is.
        role: What finding it means.
        name: As in the watch list.
        folded: Its folded words.
        doubtful: It is a name, and an ordinary word in some language.
        languages: Primary subtags of the languages it is sought in; empty for all.
        product: The subject is a product.
    """

    subject: SubjectId
    role: Role
    name: str
    folded: str
    doubtful: bool
    languages: frozenset[str]
    product: bool

    def speaks(self, language: str | None) -> bool:
        """Tell whether the subject is sought in a language (primary subtag); None is any."""
        return not self.languages or language is None or language in self.languages

    def is_clear_in_tag(self, language: str | None) -> bool:
        """Tell whether it needs nothing hostile beside it in a hashtag."""
        if len(squeeze(self.name)) < _SHORTEST_IN_TAG:
            return False
        return not self.doubtful or not is_ordinary(self.folded, language)


def signs_of(subject: Subject) -> Iterable[Sign]:
    """Return all signs of a subject."""
    names = dict.fromkeys((subject.name, *subject.aliases))
    for name in names:
        yield _sign(subject, Role.NAME, name)
    for keyword in dict.fromkeys(subject.keywords):
        yield _sign(subject, Role.KEYWORD, keyword)
    own = [f" {fold(name)} " for name in (*names, *subject.keywords)]
    for phrase in dict.fromkeys(subject.exclude):
        inside = f" {fold(phrase)} "
        covers = any(name in inside for name in own)
        yield _sign(subject, Role.COVER if covers else Role.BAN, phrase)


def _sign(subject: Subject, role: Role, name: str) -> Sign:
    limited = () if role is Role.BAN else subject.languages
    return Sign(
        subject=subject.id,
        role=role,
        name=name,
        folded=(words := fold(name)),
        doubtful=role is Role.NAME and is_ordinary(words, None),
        languages=frozenset(map(primary_subtag, limited)),
        product=subject.kind is Kind.PRODUCT,
    )


def spellings(name: str) -> set[str]:
    """Return the folded ways to write a name."""
    ways = {name, name.translate(_UMLAUTS)}
    if "&" in name:
        ways |= {name.replace("&", mark) for mark in (" & ", " and ", " et ", " und ")}
    spellings = {fold(way) for way in ways}
    for spelling in list(spellings):
        squeezed = spelling.replace(" ", "").replace("_", "")
        if len(squeezed) >= _SHORTEST_SQUEEZED and not is_ordinary(squeezed, None):
            spellings.add(squeezed)
    return spellings - {""}


def handles_of(subject: Subject) -> set[str]:
    """Return the accounts that stand for a subject: its handles, and its names as accounts."""
    names = (subject.name, *subject.aliases, *subject.keywords)
    handles = {*subject.handles, *(name for name in names if name.startswith("@"))}
    accounts = {account_name(handle) for handle in handles}
    if subject.kind is not Kind.PERSON:  # a namesake's account is not theirs
        for name in (subject.name, *subject.aliases):
            squeezed = squeeze(name)
            if len(squeezed) >= _SHORTEST_IN_TAG and not is_ordinary(fold(name), None):
                accounts.add(squeezed)
    return accounts - {""}


@lru_cache(maxsize=16_384)
def literal_names(subject: Subject) -> tuple[str, ...]:
    """
    Return what a text calls a subject, as it may stand there letter by letter; case apart.

    Its names, with and without accents and with either apostrophe; their folded spellings, short
    ones apart, as ``hm`` is not ``H.M.``; its accounts. Not its keywords: they say that a text is
    about it, not who is meant.
    """
    accounts = {*subject.handles, *subject.own_accounts, *handles_of(subject)}
    ways = {account_name(account) for account in accounts}
    for name in (subject.name, *subject.aliases):
        for way in (name, unaccented(name)):
            ways |= {way.replace(a, b) for a in _APOSTROPHES for b in _APOSTROPHES}
        ways |= {s for s in spellings(name) if len(s.replace(" ", "")) >= _SHORTEST_SQUEEZED}
    return tuple(sorted(ways - {""}))


def account_name(name: str) -> str:
    """Return an account name as it is compared: without ``@`` and case."""
    return name.strip().lstrip("@").casefold()


@lru_cache(maxsize=1024)
def primary_subtag(language: str) -> str:
    """Return ``pt`` for ``pt-BR``."""
    return language.replace("_", "-").partition("-")[0].lower()
