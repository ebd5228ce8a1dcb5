"""Targets: what each head learns, and from which labels; a proxy is named as one. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

SENTIMENT = ("negative", "neutral", "positive")
BINARY = ("complaint", "offensive", "outrage", "call_to_action", "sarcasm")
SEVERITY = "complaint_severity"
LEVELS = 5
HEADS = ("sentiment", *BINARY, SEVERITY)
"""What a source may be told to teach."""
COLUMNS = (*SENTIMENT, *BINARY, *(f"{SEVERITY}={level}" for level in range(LEVELS)))
"""Logits of the model, in their order."""
PROXIES = {
    "outrage": "hostile (MLMA) or angry (emotion sets): no set asks for outrage itself",
    "call_to_action": "the writer will stop buying (DEI comments), and our own calls to boycott",
    "sarcasm": "irony or sarcasm (TweetEval irony), and our own posts",
}
"""Heads that learn from a label next to what they are named for."""
UNKNOWN = -1
_CALM = {"joy", "optimism", "sadness", "fear", "surprise", "disgust", "other"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    What a row teaches; -1 where it says nothing.

    Attributes:
        sentiment: 0 negative, 1 neutral, 2 positive.
        binary: For each of :data:`BINARY`, 1 yes or 0 no.
        level: 0 to 4, how severe a complaint.
    """

    sentiment: int = UNKNOWN
    binary: tuple[int, ...] = (UNKNOWN,) * len(BINARY)
    level: int = UNKNOWN

    def teaches(self) -> bool:
        """Say whether it says anything."""
        return max(self.sentiment, self.level, *self.binary) > UNKNOWN


def target(labels: Mapping[str, Any], heads: Collection[str]) -> Target:
    """
    Read labels of the data's vocabulary, or of our own files, as what the heads learn.

    Args:
        labels: By name; an absent one is unknown.
        heads: Those to teach; the other labels are left aside.
    """
    sentiment = labels.get("sentiment")
    level = labels.get(SEVERITY)
    answers = {
        "complaint": _said(labels, "complaint"),
        "offensive": _said(labels, "offensive"),
        "outrage": _outrage(labels),
        "call_to_action": _said(labels, "call_to_action", "boycott_intent"),
        "sarcasm": _said(labels, "sarcasm", "irony"),
    }
    return Target(
        sentiment=(
            SENTIMENT.index(sentiment)
            if "sentiment" in heads and sentiment in SENTIMENT
            else UNKNOWN
        ),
        binary=tuple(answers[head] if head in heads else UNKNOWN for head in BINARY),
        level=level if SEVERITY in heads and isinstance(level, int) else UNKNOWN,
    )


def _said(labels: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if isinstance(labels.get(name), bool):
            return int(labels[name])
    return UNKNOWN


def _outrage(labels: Mapping[str, Any]) -> int:
    """Hostile or angry; no, only where the set asked and found neither."""
    said = _said(labels, "outrage", "hostile")
    emotion = labels.get("emotion")
    if said == 1 or emotion == "anger":
        return 1
    return 0 if said == 0 or emotion in _CALM else UNKNOWN
