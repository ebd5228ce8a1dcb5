"""Whole: the running product measured from its push to its page: speed, waits, memory."""

import math
from collections.abc import Callable
from functools import partial
from statistics import median

from rich.progress import Progress

from services.bench import pipeline, soak, texts
from services.bench.crisis import Crises
from services.bench.found import Asked, Found
from services.bench.house import House, house
from services.bench.rivals import naive_consumer
from services.bench.rounds import ratio
from services.standalone.child import Say

MOST_TEXTS, LEAST_TEXTS = 20_000, 1_000
NAIVE_POSTS = 30


async def measure(asked: Asked, found: Found, bar: Progress, *, say: Say) -> None:
    """Start the product, let it learn what is usual, then measure what is asked of it."""
    said = texts.recorded(asked.posts, MOST_TEXTS, least=LEAST_TEXTS) if asked.posts else None
    task = bar.add_task("the product starts, and hears four hours of calm", total=None)
    async with house(Crises(said), kafka=asked.kafka, say=say) as built:
        await pipeline.learn(built)
        bar.remove_task(task)
        rate = asked.rate
        if "pipeline" in asked.only or rate is None:
            task = bar.add_task("the whole against a naive consumer", total=asked.rounds)
            rate = await _rounds(asked, found, built, partial(bar.advance, task))
        if "latency" in asked.only:
            for share in pipeline.LOADS:
                task = bar.add_task(f"post to page at {share:.0%} load", total=None)
                found.loads.append(await pipeline.load(built, rate, share=share, advance=_quietly))
                bar.remove_task(task)
            _tell_loads(found)
        if asked.soak:
            task = bar.add_task(f"{asked.soak:g} min at half load", total=60 * asked.soak)
            found.memory = await soak.soak(
                built, rate / 2, minutes=asked.soak, advance=partial(bar.advance, task)
            )
            _tell_memory(found, asked.soak)


async def _rounds(
    asked: Asked, found: Found, built: House, advance: Callable[[float], None]
) -> float:
    done = await pipeline.rounds(
        built, _naive(asked, found, built), count=asked.rounds, advance=advance
    )
    figures, rates = found.figures, done.rates
    figures["pipeline_posts_per_s"] = round(median(rates["pipeline"]), 1)
    figures["pipeline_repeats"] = round(done.repeats, 3)
    for name, seconds in done.processor.items():
        figures[f"pipeline_{name.replace(' ', '_')}_us_a_post"] = round(seconds * 1e6, 1)
    if "naive" in rates:
        figures["naive_consumer_posts_per_s"] = round(median(rates["naive"]), 1)
        figures["pipeline_ratio"] = round(ratio(rates["pipeline"], rates["naive"]), 2)
    return median(rates["pipeline"])


def _naive(asked: Asked, found: Found, built: House) -> Callable[[], float] | None:
    if not (asked.base / "config.json").is_file():
        found.missing.append(f"pipeline_ratio: no checkpoint in {asked.base}; name it: --base")
        return None
    try:
        return naive_consumer(asked.base, built.kafka, NAIVE_POSTS, since=built.crises.now)
    except ImportError:
        found.missing.append("pipeline_ratio: needs pip install 'uproar[torch]'")
        return None


def _tell_loads(found: Found) -> None:
    half = next(load for load in found.loads if load.share == pipeline.HALF)
    if not half.waits:
        found.missing.append("post_to_page_p50_s: nothing was paged at half load")
        return
    for name, q in (("post_to_page_p50_s", 0.5), ("post_to_page_p99_s", 0.99)):
        if math.isfinite(seconds := half.quantile(q)):
            found.figures[name] = round(seconds, 3)
        else:
            found.missing.append(f"{name}: {half.missing} of {len(half.waits)} pages never came")
    found.figures["post_to_page_pages"] = len(half.waits)
    found.figures["post_to_page_missing"] = half.missing
    found.figures["half_load_posts_per_s"] = round(half.posts_per_s, 1)


def _tell_memory(found: Found, minutes: float) -> None:
    for name, growth in soak.growths(found.memory, minutes).items():
        place = name.replace(" ", "_")
        found.figures[f"soak_{place}_mb"] = round(found.memory[name].held[-1] / 1e6, 1)
        found.figures[f"soak_{place}_growth_per_hour"] = round(growth, 4)


def _quietly(_: float) -> None:
    pass
