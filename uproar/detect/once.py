"""Once: who has spoken in the last hour, so that an author and a copy count once. Bounded memory."""

from dataclasses import dataclass, field
from typing import Final

_TURN: Final = 3600.0
"""A generation is forgotten so many seconds of event time after the next one began."""


@dataclass(slots=True)
class _Voice:
    last: float  # event time of the newest post, seconds
    most: float  # how negative the worst of its posts was


@dataclass(frozen=True, slots=True)
class Share:
    """
    What a post adds to the counts.

    Attributes:
        negative: How much more negative it is than all that its author, or its copies, said before
            in one go; 0..1.
        counts: Whether nobody counted for it yet.
        crosses: Whether its author is with it for the first time an author of a negative post.
    """

    negative: float
    counts: bool
    crosses: bool


@dataclass(slots=True)
class Once:
    """
    The authors and copies of a partition's last hour.

    The posts of an author that follow each other within ``apart`` count as one post, as negative
    as the worst of them; so do copies of a text, whoever wrote them. It is not stored: after a
    crash it fills again from the hour that is read again (the detector holds the commit back by
    that hour). Only an author who has not paused for longer than that hour may then count once
    more than without the crash.

    Attributes:
        apart: Seconds of silence after which a voice counts again.
        most: Voices remembered at most; the older half is forgotten beyond.
    """

    apart: float
    negative: float
    most: int
    _young: dict[tuple[int, str], _Voice] = field(default_factory=dict)
    _old: dict[tuple[int, str], _Voice] = field(default_factory=dict)
    _turned: float = float("-inf")

    def share(self, slot: int, at: float, author: str, copy: str | None, negative: float) -> Share:
        """Take a post of a subject into account; posts of a minute come in order of time and id."""
        voices = [self._voice(slot, author, at)]
        if copy is not None:
            voices.append(self._voice(slot, f"={copy}", at))
        before = max(voice.most for voice in voices)
        heard = any(voice.last >= 0 for voice in voices)
        crosses = voices[0].most < self.negative <= negative and before < self.negative
        for voice in voices:
            voice.last, voice.most = max(voice.last, at), max(voice.most, negative)
        return Share(max(0.0, negative - before), not heard, crosses)

    def _voice(self, slot: int, name: str, at: float) -> _Voice:
        """Return a voice as it stands; one that has been silent for long enough is a new one."""
        key = (slot, name)
        voice = self._young.get(key) or self._old.get(key)
        if voice is None or abs(at - voice.last) >= self.apart:
            newest = voice is None or at > voice.last
            voice = _Voice(-1.0, 0.0)
            if not newest:
                return voice  # a late post, of long before the author's newest
        self._young[key] = voice
        return voice

    def authors(self, slot: int, since: float) -> list[str]:
        """Return who wrote negative posts about a subject since a moment, as far as remembered."""
        seen = {
            name: voice
            for generation in (self._old, self._young)
            for (number, name), voice in generation.items()
            if number == slot and not name.startswith("=")
        }
        return sorted(
            name for name, v in seen.items() if v.last >= since and v.most >= self.negative
        )

    def forget(self, now: float) -> None:
        """Let go of what is too old to matter at a moment of event time."""
        if now - self._turned >= _TURN or len(self._young) > self.most // 2:
            self._old, self._young, self._turned = self._young, {}, now

    def drop(self, slot: int) -> None:
        """Forget everything about a subject."""
        for generation in (self._young, self._old):
            for key in [key for key in generation if key[0] == slot]:
                del generation[key]
