"""Scoring: the classifier alone, beside the naive way and what the machine could do at best."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from statistics import median

from services.bench import texts
from services.bench.classifier import distinct, memory, operations, waits
from services.bench.found import Asked, Found
from services.bench.rivals import naive, peaks
from services.bench.rounds import Rates, Work, interleaved, ratio
from services.classifier.engine import FIREHOSE, load, shipped
from services.classifier.engine.int8 import Int8Engine
from services.classifier.engine.native import Unsuitable

POSTS, ALONE, NAIVE_POSTS = 1024, 512, 30
REPEATS = (10, 25, 50)


def measure(asked: Asked, found: Found, advance: Callable[[float], None]) -> None:
    """Measure the classifier; the curves only where they shall be drawn."""
    some = asked.posts
    posts = texts.made(POSTS) if some is None else texts.recorded(some, POSTS)
    rates = interleaved(_work(asked, posts, found), _told(asked.rounds, advance))
    _figures(found, rates, posts)
    if asked.plots:
        found.curves |= _curves(posts, rates, asked.rounds)


def _told(rounds: int, advance: Callable[[float], None]) -> Iterator[int]:
    for number in range(rounds):
        yield number
        advance(1)


def _work(asked: Asked, posts: list[str], found: Found) -> dict[str, Work]:
    engine = load()
    work = {"classifier": distinct(engine, posts)}
    work["student"] = distinct(load(FIREHOSE), posts)
    for share in REPEATS:
        work[f"repeats {share}"] = distinct(engine, texts.with_repeats(posts, share / 100))
    try:
        work |= peaks()
    except ImportError:
        found.missing.append("roofline_share, naive_posts_per_s: needs pip install 'uproar[torch]'")
        return work
    if (asked.base / "config.json").is_file():
        work["naive"] = naive(asked.base, posts[:NAIVE_POSTS])
    else:
        found.missing.append(f"naive_posts_per_s: no checkpoint in {asked.base}; name it: --base")
    return work


def _figures(found: Found, rates: Rates, posts: list[str]) -> None:
    figures, ours = found.figures, rates["classifier"]
    if "naive" in rates:
        figures["naive_posts_per_s"] = round(median(rates["naive"]), 1)
    figures["classifier_posts_per_s"] = round(median(ours), 1)
    figures["student_posts_per_s"] = round(median(rates["student"]), 1)
    if "naive" in rates:
        figures["classifier_ratio"] = round(ratio(ours, rates["naive"]), 2)
        figures["student_ratio"] = round(ratio(rates["student"], rates["naive"]), 2)
    peaks_ = [rates[name] for name in rates if name.startswith("peak")]
    if peaks_:
        a_post = operations(shipped(), posts) / len(posts)
        best = [max(each) for each in zip(*peaks_, strict=True)]
        figures["roofline_share"] = round(ratio([rate * a_post for rate in ours], best), 3)
        figures["peak_gops"] = round(median(best) / 1e9, 1)
    for share in REPEATS:
        figures[f"repeats_{share}_ratio"] = round(ratio(rates[f"repeats {share}"], ours), 3)
    idle = waits(load(), posts[:ALONE])
    figures["post_alone_p50_s"] = round(idle.alone_p50, 5)
    figures["post_alone_p99_s"] = round(idle.alone_p99, 5)
    figures["loop_wait_p99_s"] = round(idle.loop_p99, 5)
    figures["loop_wait_worst_s"] = round(idle.loop_worst, 5)
    figures["memory_mb"] = round(memory(posts) / 1e6, 1)


def _curves(posts: list[str], rates: Rates, rounds: int) -> Iterator[tuple[str, Rates]]:
    """Measure posts a second against what the pictures have along their axis."""
    yield "repeats", {"0": rates["classifier"]} | {str(s): rates[f"repeats {s}"] for s in REPEATS}
    every = range(rounds)
    engine, cores = load(), os.cpu_count() or 1
    sizes = {str(n): distinct(engine, posts[: max(n, 512)], batch=n) for n in _doubling(1, 1024)}
    yield "batch", interleaved(sizes, every)
    words = " ".join(posts).split()
    lengths = {
        str(n): distinct(engine, [" ".join(words[at : at + n]) for at in range(0, 256 * n, n)])
        for n in _doubling(4, 64)
    }
    yield "words", interleaved(lengths, every)
    kinds: dict[str, Work] = {}
    for encoder in ("native", "portable"):
        for threads in _doubling(1, cores):
            with suppress(Unsuitable):  # of this machine: the picture does without
                one = Int8Engine(shipped(), encoder=encoder, threads=threads)
                kinds[f"{encoder}, {threads}"] = distinct(one, posts[:512])
    more = {name: rates[name] for name in ("naive", "student") if name in rates}
    yield "engine, threads", {**interleaved(kinds, every), **more}


def _doubling(low: int, high: int) -> list[int]:
    found = [low]
    while found[-1] * 2 <= high:
        found.append(found[-1] * 2)
    return found
