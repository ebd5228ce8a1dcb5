"""Sayings: what people write in a crowd that is no backlash, and in one that is; our own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Saying:
    """A way to write: one of each part, one after the other; ``{b}`` stands for the brand."""

    openings: tuple[str, ...]
    middles: tuple[str, ...]
    endings: tuple[str, ...]

    def write(self, brand: str, rng: np.random.Generator) -> str:
        """Write one text."""
        parts = (str(rng.choice(part)) for part in (self.openings, self.middles, self.endings))
        return " ".join(part for part in parts if part).format(b=brand)


NOT_A_BACKLASH: Final[Mapping[str, Saying]] = {
    "meme quoting the brand, in words": Saying(
        (
            "nobody:",
            "me at 3am:",
            "my cat:",
            "mood:",
            "everyone on this app today:",
            "literally me:",
        ),
        (
            "{b}: it's only bags",
            "'{b} will see you now'",
            "i am the {b} of my friend group",
            "{b} said what now",
            "{b} but make it fashion",
            "every day is {b} day",
        ),
        ("lol", "lmao", "i can't", "😂😂", "", "that's the tweet", "send help", "haha"),
    ),
    "giveaway, in words": Saying(
        (
            "Done!",
            "Followed and shared!",
            "Count me in!",
            "Fingers crossed!",
            "Participé !",
            "Fait !",
        ),
        (
            "would love to win this from {b}",
            "thanks {b} for the chance",
            "tagging my sister, {b} is the best",
            "merci {b} pour ce concours",
            "{b} please pick me",
            "never won anything, maybe with {b}",
        ),
        ("🤞", "#giveaway", "good luck everyone", "bonne chance à tous", "#concours", ""),
    ),
    "sports night, in words": Saying(
        ("GOOOAL", "what a save", "ref are you blind", "come on", "allez", "unreal", "oh no"),
        (
            "in the {b} arena tonight",
            "{b} cup final is wild",
            "watching the {b} league with dad",
            "la finale de la coupe {b}",
            "that {b} half time show",
        ),
        ("!!!", "", "2-1", "extra time", "we go again", "quel match"),
    ),
    "praise wave, in words": Saying(
        ("Just wow,", "Honestly,", "Credit where it is due:", "Merci,", "So happy,", "Bravo,"),
        (
            "{b} gave the flood victims free rooms",
            "{b} found my lost wallet and sent it back",
            "{b} raised wages for all staff",
            "{b} a offert un repas aux soignants",
            "the {b} crew made my kid's day",
        ),
        ("respect", "love this", "more of this please", "chapeau", "customer for life", "❤️"),
    ),
    "launch, in words": Saying(
        ("It's here:", "Breaking:", "Just announced:", "Hands on:", "Voici", "First look:"),
        (
            "the new {b} ships in March",
            "{b} shows its smallest model yet",
            "{b} event starts at ten",
            "le nouveau {b} arrive en mars",
            "specs of the {b} leaked right before the keynote",
        ),
        ("what do you think?", "pre-orders open", "price tbc", "thread", "", "on en pense quoi ?"),
    ),
    "support surge for the brand, in words": Saying(
        (
            "I stand with {b}.",
            "Leave {b} alone.",
            "Team {b} here.",
            "Solidarité avec {b}.",
            "Proud of",
        ),
        (
            "The lies about {b} are disgusting",
            "their staff deserve better than this mob",
            "{b} did the right thing, ignore the trolls",
            "{b} a raison, ne lâchez rien",
            "those attacks on {b} make me sick",
        ),
        (
            "stay strong",
            "we are with you",
            "courage",
            "#IStandWith",
            "buying twice as much now",
            "",
        ),
    ),
}

BACKLASH: Final = Saying(
    ("Shame on you {b}.", "Never again {b}.", "Unbelievable, {b}!", "Honteux, {b}.", "Avoid {b}!"),
    (
        "they left an old man on the tarmac and laughed",
        "your staff insulted my wife and nobody answers",
        "how can you poison people and say nothing",
        "on attend des excuses depuis ce matin et rien",
        "the video is horrible and your statement is worse",
    ),
    (
        "boycott them",
        "I cancelled everything",
        "disgusting",
        "plus jamais",
        "apologise now",
        "refund!",
    ),
)
