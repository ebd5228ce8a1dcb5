"""Mention: the marks that tell a model whom a post is judged for. Text in, text out."""

import re
from collections.abc import Iterable
from functools import lru_cache

MARKS = ("►", "◄")
"""Two pieces of the base's vocabulary that posts hardly use; a model learns them in training."""
_BETWEEN = r"[\s_-]{0,3}"
"""Between the words of a name: blanks, a hyphen, or nothing, as a hashtag or a handle has it."""
_CACHED_SUBJECTS = 4096


def mark(text: str, names: Iterable[str], marks: tuple[str, str] | None = MARKS) -> str:
    """
    Put marks around each mention of a subject.

    Args:
        text: A raw post.
        names: What the subject is called: names, handles, hashtags; in any case.
        marks: Those of the model (:attr:`services.classifier.engine.heads.Heads.marks`); None
            leaves the text as it is.

    Returns:
        The text with marks; without any where it names the subject nowhere, which asks for the
        sentiment of the whole post. Marks that the author wrote become blanks.
    """
    if marks is None:
        return text
    before, after = marks
    clean = text.replace(before, " ").replace(after, " ")
    pattern = _pattern(tuple(sorted({name for name in names if name.strip()})))
    return pattern.sub(rf"{before}\g<0>{after}", clean) if pattern else clean


@lru_cache(_CACHED_SUBJECTS)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    wanted = set()
    for name in names:
        words = name.strip().lstrip("@#").split()
        wanted.add(_BETWEEN.join(map(re.escape, words)))
    wanted.discard("")
    if not wanted:
        return None
    longest_first = sorted(wanted, key=lambda words: (-len(words), words))
    return re.compile(rf"(?<!\w)[@#]?(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)
