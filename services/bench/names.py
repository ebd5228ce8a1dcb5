"""Names: of brands that do not exist, all different. No ordinary word is among them."""

import re
from random import Random
from typing import Final

_SYLLABLES: Final = re.findall(
    r"\w+",
    "qui llo au rel ba no tra ven so lim dex or pa min ko zu ter fa gel ri mon ta ca ble eur",
)
_IN_TWO_WORDS: Final = 0.4


def invented(rng: Random, count: int, *, single: bool = False) -> list[str]:
    """
    Invent names.

    Args:
        rng: Chance.
        count: How many.
        single: Whether each is a single word; else four in ten have two.
    """
    names: dict[str, None] = {}
    while len(names) < count:
        words = 1 if single or rng.random() >= _IN_TWO_WORDS else 2
        names[" ".join(_word(rng) for _ in range(words)).title()] = None
    return list(names)


def _word(rng: Random) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(3, 5)))
