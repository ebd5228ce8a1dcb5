"""
Match: whom a text names. Not what it says of them.

All names of all subjects are sought in one pass (Aho-Corasick) over the folded words of a text, so
that case, accents and punctuation do not count. A text names a subject by

- a word or phrase: its name, an alias or a keyword, whole words only, also behind a clitic
  (``l'``, Arabic ``wa-``/``bi-``/``al-``), before ``'s``, with a hyphen, or written as one word;
- an account: ``@`` and exactly one of its handles, or its name where that is no ordinary word;
- a hashtag, of which a name is a part (:mod:`uproar.match.hashtags`).

Names that are ordinary words have to prove themselves (:mod:`uproar.match.ordinary`); keywords are
taken as they are. A name inside a longer name of another subject belongs to that one, unless it is
a product: ``Apple Watch`` is Apple's too. ``languages`` limits words, not accounts and hashtags.
``exclude``: a phrase that holds a name of the subject takes away what it overlaps (``free
shipping``); any other one takes the whole text from the subject, its accounts apart.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from uproar.match.folding import BREAK, Words, folded, inner_words, plain, written
from uproar.match.hashtags import TagReader, squeeze
from uproar.match.ordinary import guess_language, in_one_breath, is_ordinary, names_it, shouts
from uproar.match.signs import (
    Role,
    Sign,
    account_name,
    handles_of,
    literal_names,
    primary_subtag,
    signs_of,
    spellings,
)
from uproar.subject import Subject, SubjectId

__all__ = ["Matcher", "literal_names"]

_HANDLE = re.compile(r"(?<!\w)@(\w[\w-]*(?:[.@]\w[\w-]*)*)")
_NEXT_SENTENCE = re.compile(r"\.(?=[A-Z])")
_MOST_MATCHES = 300  # nobody but a flooder names anybody more often


class _Hit(NamedTuple):
    start: int
    end: int
    sign: Sign
    hostile: bool = False  # stands in a hashtag with a word against somebody


class Matcher:
    """Finds the subjects that a text names; made anew when the watch list changes."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        """Build the automata: about 3 s for 100,000 names."""
        signs: dict[str, list[Sign]] = defaultdict(list)
        in_tags: dict[str, list[Sign]] = defaultdict(list)
        self._handles: dict[str, set[SubjectId]] = defaultdict(set)
        self._own: dict[str, set[SubjectId]] = defaultdict(set)
        for subject in subjects:
            for sign in signs_of(subject):
                if sign.name.startswith("@"):
                    continue
                if not sign.name.startswith("#"):
                    for spelling in spellings(sign.name):
                        signs[spelling].append(sign)
                if squeezed := squeeze(sign.name):
                    in_tags[squeezed].append(sign)
            for handle in handles_of(subject):
                self._handles[handle].add(subject.id)
            for account in subject.own_accounts:
                self._own[account_name(account)].add(subject.id)
        self._signs, self._in_tags = list(signs.values()), list(in_tags.values())
        self._words = AhoCorasick([f" {spelling} " for spelling in signs])
        self._tags = TagReader(in_tags)

    def match(
        self, text: str, *, title: str | None = None, lang: str | None = None
    ) -> tuple[SubjectId, ...]:
        """
        Return the ids of the subjects that a text or its title names, sorted.

        Args:
            text: As written.
            title: Headline above it.
            lang: BCP 47 tag; None when unknown.
        """
        if title:
            text = f"{title}\n{text}"
        language = primary_subtag(lang) if lang else None
        found, banned = self._by_words(text, language)
        if "#" in text or "＃" in text:
            found |= self._by_tags(text, language) - banned
        if "@" in text:
            found |= self._by_accounts(text)
        return tuple(sorted(found))

    def own(self, account: str) -> tuple[SubjectId, ...]:
        """Return the subjects to which an account belongs; ``@`` and case do not count."""
        return tuple(sorted(self._own.get(account_name(account), ())))

    def _by_accounts(self, text: str) -> set[SubjectId]:
        found: set[SubjectId] = set()
        for handle in _HANDLE.findall(text):
            for account in {handle, _NEXT_SENTENCE.split(handle)[0], _before_dash(handle)}:
                found |= self._handles.get(account_name(account), set())
        return found

    def _by_words(self, text: str, language: str | None) -> tuple[set[SubjectId], set[SubjectId]]:
        text = plain(text)
        words = folded(text)
        haystack = f" {words} "
        for reading in inner_words(text, words, language):
            haystack += f"{BREAK} {reading} "
        matches = self._words.find_matches_as_indexes(haystack, overlapping=True)
        if not matches:
            return set(), set()
        proof = _Proof(text, words, language)
        hits = [
            _Hit(start + 1, end - 1, sign)
            for index, start, end in matches[:_MOST_MATCHES]
            for sign in self._signs[index]
            if not sign.languages or sign.speaks(language)
        ]
        return _judge(hits, lambda hit: proof.holds(hit, haystack))

    def _by_tags(self, text: str, language: str | None) -> set[SubjectId]:
        found: set[SubjectId] = set()
        for names in self._tags.read(text):
            hits = [
                _Hit(name.start, name.end, sign, name.hostile)
                for name in names
                for sign in self._in_tags[name.name]
                if name.clear or name.hostile or sign.role is Role.COVER
            ]
            found |= _judge(hits, lambda hit: hit.hostile or hit.sign.is_clear_in_tag(language))[0]
        return found


class _Proof:
    """Whether what was found in a text is a name; looks at the text only when it must."""

    def __init__(self, text: str, words: str, language: str | None) -> None:
        self._text, self._words, self._given = text, words, language

    def holds(self, hit: _Hit, haystack: str) -> bool:
        """Tell whether a sign stands for its subject where the haystack has it."""
        sign, phrase = hit.sign, haystack[hit.start : hit.end]
        if hit.start > len(self._words):  # something was taken off: too little for doubtful ones
            return not sign.doubtful
        if " " in phrase and phrase not in self._text.lower():  # something stands between its words
            place = self._place(hit, haystack)
            if not in_one_breath(self._written, *place, sign.name):
                return False
        if not sign.doubtful or not is_ordinary(sign.folded, self._given):
            return True
        if not sign.speaks(self._language):
            return False
        if not is_ordinary(sign.folded, self._language):
            return True
        place = self._place(hit, haystack)
        return names_it(self._written, *place, sign.name, capitals=self._capitals)

    @cached_property
    def _written(self) -> Words:
        return written(self._text)

    @cached_property
    def _language(self) -> str | None:
        return self._given or guess_language(self._words.split())

    @cached_property
    def _capitals(self) -> bool:
        return self._language != "de" and not shouts(self._written)

    def _place(self, hit: _Hit, haystack: str) -> tuple[int, int]:
        first = haystack.count(" ", 0, hit.start) - 1
        return first, first + haystack.count(" ", hit.start, hit.end)


def _judge(
    hits: list[_Hit], holds: Callable[[_Hit], bool]
) -> tuple[set[SubjectId], set[SubjectId]]:
    """Return the subjects that stay named, and those from whom the text is taken."""
    banned = {hit.sign.subject for hit in hits if hit.sign.role is Role.BAN}
    covers = [hit for hit in hits if hit.sign.role is Role.COVER]
    names = [
        hit
        for hit in hits
        if (hit.sign.role is Role.NAME or hit.sign.role is Role.KEYWORD)
        and hit.sign.subject not in banned
        and not (covers and any(_overlap(hit, cover) for cover in covers))
        and holds(hit)
    ]
    found = {hit.sign.subject for hit in names}
    if len(found) > 1:
        found = {
            hit.sign.subject for hit in names if not any(_swallows(other, hit) for other in names)
        }
    return found, banned


def _overlap(hit: _Hit, cover: _Hit) -> bool:
    same = hit.sign.subject == cover.sign.subject
    return same and hit.start < cover.end and cover.start < hit.end


def _swallows(other: _Hit, hit: _Hit) -> bool:
    longer = other.end - other.start > hit.end - hit.start
    inside = other.start <= hit.start and hit.end <= other.end
    another = other.sign.subject != hit.sign.subject
    return longer and inside and another and not other.sign.product


def _before_dash(handle: str) -> str:
    """Drop ``-rebooked`` from ``@united-rebooked``: only domains may hold a dash."""
    return handle if "." in handle else handle.partition("-")[0]
