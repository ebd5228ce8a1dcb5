"""Card: what a trained model is, what it was trained on, and what it was measured to do."""

from collections.abc import Sequence

from services.classifier.train.calibrate import Calibration
from services.classifier.train.data import Part
from services.classifier.train.measure import Figure
from services.classifier.train.settings import Settings
from services.classifier.train.targets import COLUMNS, PROXIES


def write(
    settings: Settings, parts: Sequence[Part], found: Calibration, figures: Sequence[Figure],
    took: str,
) -> str:  # fmt: skip
    """Write the card in Markdown; ``took`` is how long the fit took, and on what."""
    taught = ", ".join(settings.taught)
    layers = settings.layers if isinstance(settings.layers, int) else len(settings.layers)
    what = (
        f"{layers} layers of `{settings.base.name}` (MIT), {settings.vocabulary:,} pieces, "
        f"fine-tuned for {taught}; int8 for CTranslate2. Written by `uproar train`; what to use it "
        "for, and what not: `docs/model-card.md`."
    )
    lines = [f"# {settings.name}", "", what, "", f"Fitted in {took} (the last session of it).", ""]
    lines += _terms(settings)
    lines += [
        "## Trained on",
        "",
        "| file | heads | rows | seen | to calibrate | to measure | left out | terms |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for part in parts:
        left = ", ".join(f"{n} {why}" for why, n in sorted(part.left_out.items())) or "-"
        source = part.source
        lines.append(
            f"| `{source.file.rpartition('/')[2]}` | {', '.join(source.heads)} | {len(part.train):,} "
            f"| {source.repeat:g} times | {len(part.calibration)} | {len(part.test)} | {left} | {source.licence} |"
        )
    lines += ["", "## Measured", "", "On rows kept out of training, with the int8 engine.", ""]
    lines += ["| what | value | n |", "|---|--:|--:|"]
    lines += [f"| {figure.name} | {100 * figure.value:.1f} | {figure.n:,} |" for figure in figures]
    lines += ["", "## Calibration", ""]
    shares = " / ".join(f"{share:g}" for share in found.stream)
    lines += [f"Sentiment is for a stream of {shares} negative / neutral / positive posts.", ""]
    lines += ["| logit | scale | shift | holds from |", "|---|--:|--:|--:|"]
    for name, scale, shift in zip(COLUMNS, found.scale, found.shift, strict=True):
        if name.partition("=")[0] in settings.taught or name in COLUMNS[:3]:
            threshold = found.thresholds.get(name, "")
            lines.append(f"| {name} | {scale:.3f} | {shift:.3f} | {threshold} |")
    return "\n".join(lines) + "\n"


def _terms(settings: Settings) -> list[str]:
    lines = []
    if settings.terms == "research":
        lines += ["**For research only**: sets with non-commercial terms taught it.", ""]
    if settings.distil:
        lines += [f"Its teacher's soft labels: `{settings.distil.teacher.name}`.", ""]
    if settings.marked:
        lines += ["Sentiment is towards the subject whose mention is marked; else of the post.", ""]
    proxies = [f"- {head}: {PROXIES[head]}" for head in settings.taught if head in PROXIES]
    return [*lines, "Learned from a proxy:", "", *proxies, ""] if proxies else lines
