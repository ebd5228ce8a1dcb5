"""Card: what a trained model is, what it was trained on, and what it was measured to do."""

from collections.abc import Sequence

from services.classifier.train.calibrate import Calibration
from services.classifier.train.data import Part
from services.classifier.train.fit import HEADS
from services.classifier.train.measure import Figure
from services.classifier.train.settings import Settings


def write(
    settings: Settings, parts: Sequence[Part], found: Calibration, figures: Sequence[Figure]
) -> str:
    """Write the card in Markdown."""
    what = (
        f"The bottom {settings.layers} layers of `{settings.base.name}` (MIT), "
        f"{settings.vocabulary:,} pieces, fine-tuned for sentiment, complaint and offensive; int8 "
        "for CTranslate2. Written by `uproar train`; its uses and limits: `docs/model-card.md`."
    )
    lines = [
        f"# {settings.name}",
        "",
        what,
        "",
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
    lines += ["", "## Calibration", "", "| logit | scale | shift |", "|---|--:|--:|"]
    pairs = zip(HEADS, found.scale, found.shift, strict=True)
    lines += [f"| {head} | {scale:.3f} | {shift:.3f} |" for head, scale, shift in pairs]
    return "\n".join(lines) + "\n"
