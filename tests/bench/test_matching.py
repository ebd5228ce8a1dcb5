"""How fast 100,000 names are sought, against one regular expression of all of them."""

import random
import re
import time

from tests.build import a_subject
from uproar.match import Matcher

NAMES, POSTS = 100_000, 10_000
SYLLABLES = ["qui", "llo", "au", "rel", "ba", "no", "tra", "ven", "so", "lim", "dex", "or", "pa", "min", "ko", "zu", "ter", "fa", "gel", "ri", "mon", "ta", "ca", "ble", "st", "eur", "in"]  # fmt: skip
ENGLISH = [
    "the",
    "a",
    "I",
    "my",
    "lost",
    "bag",
    "and",
    "they",
    "never",
    "answer",
    "is",
    "this",
    "how",
    "you",
    "treat",
    "people",
    "who",
    "fly",
    "with",
    "us",
    "again",
    "today",
    "please",
    "service",
    "customer",
    "why",
    "so",
    "bad",
    "no",
    "one",
    "at",
    "airport",
    "not",
    "worst",
    "ever",
    "stuck",
    "for",
    "hours",
]
FRENCH = [
    "le",
    "la",
    "une",
    "c'est",
    "l'avion",
    "très",
    "mécontent",
    "été",
    "encore",
    "perdu",
    "ma",
    "valise",
    "réponse",
    "jamais",
    "service",
    "où",
]


def test_matching_outruns_a_regular_expression():
    rng = random.Random(7)
    names = _names(rng)
    texts = [_text(rng, names) for _ in range(POSTS)]
    matcher, build = _timed(lambda: Matcher(_subjects(names)))
    runs = [_timed(lambda: [matcher.match(text, lang="en") for text in texts]) for _ in range(3)]
    found, seconds = runs[0][0], min(run[1] for run in runs)

    few = texts[:3]
    naive = re.compile(r"\b(?:" + "|".join(map(re.escape, names)) + r")\b", re.IGNORECASE)
    naive.search("compile it")
    _, naive_seconds = _timed(lambda: [naive.findall(text) for text in few])

    per_post, naive_per_post = seconds / POSTS, naive_seconds / len(few)
    named = sum(map(bool, found)) / POSTS
    print(
        f"\nmatching: {1 / per_post:,.0f} posts/s a core, {named:.0%} of them name somebody; "
        f"{naive_per_post / per_post:,.0f} times a regular expression; built in {build:.1f} s"
    )
    assert 0.2 < named < 0.8
    assert naive_per_post / per_post > 100


FLOODS = [
    "a" + "_" * 20_000 + "a",
    "Air Quillon Target " * 1_000,
    "#boycotttarget" * 2_000,
    "#a #b " * 3_000,
    "'s " * 6_000 + "a" * 16_000,
    "وبالمدى " * 2_000,
    "\ufdfa" * 5_000,
    "Target, target. TARGET " * 800,
]


def test_no_text_costs_more_than_a_few_thousand_posts():
    matcher = Matcher([a_subject("air-quillon"), a_subject("target"), a_subject("m", name="المدى")])
    post = "Air Quillon lost my bag and nobody at the desk would talk to us about Target"
    _, seconds = _timed(lambda: [matcher.match(post) for _ in range(2000)])
    for flood in FLOODS:
        _, cost = min(
            (_timed(lambda text=flood[:16_384]: matcher.match(text)) for _ in range(3)),
            key=lambda run: run[1],
        )
        print(f"\n{flood[:20]!r}: {cost / (seconds / 2000):,.0f} posts", end="")
        assert cost / (seconds / 2000) < 3_000


def _timed(work):
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def _word(rng, most=5):
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(3, most)))


def _names(rng):
    names = set()
    while len(names) < NAMES:
        name = _word(rng) if rng.random() < 0.6 else f"{_word(rng)} {_word(rng)}"
        names.add(name.title())
    return sorted(names)


def _subjects(names):
    for place in range(0, NAMES, 10):
        name, *aliases = names[place : place + 10]
        yield a_subject(f"s{place}", name=name, aliases=tuple(aliases), handles=(f"h{place}",))


def _text(rng, names):
    """Write a post of about 120 characters; a third is French, some have an account, a tag, a link."""
    source = FRENCH if rng.random() < 0.3 else ENGLISH
    words = [rng.choice(source) for _ in range(20)]
    if rng.random() < 0.3:
        words[3] = rng.choice(names)
    if rng.random() < 0.25:
        words[5] = "@" + _word(rng)
    if rng.random() < 0.2:
        words.append("#Boycott" + rng.choice(names).replace(" ", ""))
    if rng.random() < 0.15:
        words.append("https://t.example/" + _word(rng))
    return " ".join(words) + "."
