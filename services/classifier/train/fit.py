"""Fit: lessons -> a fine-tuned model. Seeded, and resumable at every checkpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn

from services.classifier.train.batches import Encoded, packed
from services.classifier.train.curves import Curves
from services.classifier.train.device import chosen, precision
from services.classifier.train.loss import Lessons, losses
from services.classifier.train.model import Classifier, padded
from services.classifier.train.settings import Settings
from services.classifier.train.targets import COLUMNS
from uproar.errors import Misconfigured

CHECKPOINT_SECONDS = 600
_POINTS = 60  # of a curve
_MEASURED = 10  # times that the rows held out are looked at
_MEASURED_ROWS = 600
_ASKED_TOKENS = 4096
_WARM_UP = 0.05


def fit(
    model: Classifier, lessons: Lessons, held_out: Lessons, batches: list[list[int]],
    settings: Settings, *, resume: bool,
) -> Curves:  # fmt: skip
    """
    Train in place; checkpoints and curves in ``settings.work``.

    Args:
        model: What to train; it ends on the CPU, in evaluation mode.
        lessons: What to learn from.
        held_out: What to look at now and then.
        batches: Row numbers of each step.
        settings: The run.
        resume: Go on from the last checkpoint.
    """
    device = chosen()
    model.to(device).train()
    optimiser = _optimiser(model, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _slope(len(batches)))
    lessons = _moved(lessons, device)
    held_out = _moved(held_out, device)
    parts = _Parts(model, optimiser, schedule, f"{settings.digest}-{len(batches)}")
    checkpoint, curve_file = settings.work / "checkpoint.pt", settings.work / "curves.json"
    done = parts.load(checkpoint) if resume else 0
    curves = Curves.read(curve_file, done) if resume else Curves()
    saved = time.monotonic()
    with Progress() as progress:
        task = progress.add_task("train", total=len(batches), completed=done)
        for step in range(done, len(batches)):
            torch.manual_seed(settings.seed + step)  # a resumed run drops the same units
            with precision(device):
                found = losses(model, lessons, batches[step], settings)
            optimiser.zero_grad()
            torch.stack(list(found.values())).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if _due(step, len(batches), _POINTS):
                curves.hear({name: value.item() for name, value in found.items()})
                measured = _due(step, len(batches), _MEASURED)
                aside = {"held_out": _held_out(model, held_out, settings)} if measured else {}
                curves.mark(step + 1, **aside)
                if not progress.console.is_terminal:  # a log has no bar
                    progress.console.print(
                        f"step {step + 1} of {len(batches)}, loss {curves.total:.3f}"
                    )
            elif step % 10 == 0:
                curves.hear({name: value.item() for name, value in found.items()})
            progress.update(task, advance=1, description=f"train, loss {curves.total:.3f}")
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                curves.write(curve_file)
                parts.save(checkpoint, step + 1)
                saved = time.monotonic()
    curves.write(curve_file)
    model.cpu().eval()
    return curves


def logits(model: Classifier, data: Encoded) -> NDArray[np.float32]:
    """Give the logits of rows, (rows, columns); NaN for one that cannot be read."""
    ask = lambda ids, mask: model(ids, mask)[0]  # noqa: E731 - shorter than its name
    return _asked(model, data.ids, ask, empty=np.nan, width=len(COLUMNS), what="logits")


def pooled(model: Classifier, ids: list[list[int]]) -> NDArray[np.float32]:
    """Give the encoder's vectors of rows, (rows, width); 0 for one that cannot be read."""
    width = model.encoder.config.hidden_size
    return _asked(model, ids, model.pooled, empty=0.0, width=width, what="vectors")


def _asked(
    model: Classifier, ids: list[list[int]], ask: Callable[[Tensor, Tensor], Tensor], *,
    empty: float, width: int, what: str,
) -> NDArray[np.float32]:  # fmt: skip
    device = chosen()
    model.to(device).eval()
    result = np.full((len(ids), width), empty, np.float32)
    lengths = [len(row) for row in ids]
    readable = sorted((at for at, row in enumerate(ids) if row), key=lambda at: lengths[at])
    with torch.inference_mode(), precision(device), Progress(transient=True) as progress:
        task = progress.add_task(what, total=len(readable))
        for batch in packed(readable, lengths, _ASKED_TOKENS):
            found = ask(*padded([ids[row] for row in batch], device))
            result[batch] = found.float().cpu().numpy()
            progress.advance(task, len(batch))
    model.cpu()
    return result


def _due(step: int, steps: int, times: int) -> bool:
    """Say whether something that happens so many times in a run is due after this step."""
    return step == steps - 1 or (step + 1) * times // steps > step * times // steps


def _held_out(model: Classifier, lessons: Lessons, settings: Settings) -> float:
    readable = [at for at, ids in enumerate(lessons.data.ids) if ids][:_MEASURED_ROWS]
    if not readable:
        return 0.0
    readable.sort(key=lambda at: len(lessons.data.ids[at]))
    model.eval()
    total = 0.0
    with torch.inference_mode(), precision(lessons.prior.device):
        for batch in packed(readable, lessons.data.lengths, _ASKED_TOKENS):
            found = losses(model, lessons, batch, settings)
            total += len(batch) * sum(value.item() for value in found.values())
    model.train()
    return total / len(readable)


def _moved(lessons: Lessons, device: torch.device) -> Lessons:
    return Lessons(
        data=lessons.data,
        soft=lessons.soft,
        anchors=lessons.anchors,
        prior=lessons.prior.to(device),
    )


def _optimiser(model: Classifier, rate: float) -> torch.optim.AdamW:
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    heads = [p for name, p in model.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": [p for p in encoder if p.ndim > 1], "lr": rate, "weight_decay": 0.01},
        {"params": [p for p in encoder if p.ndim <= 1], "lr": rate, "weight_decay": 0.0},
        {"params": heads, "lr": rate * 10, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups)


def _slope(steps: int) -> Callable[[int], float]:
    warm = max(1, int(steps * _WARM_UP))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (steps - step) / max(1, steps - warm))

    return factor


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a checkpoint holds."""

    model: Classifier
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    digest: str

    def save(self, file: Path, step: int) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "digest": self.digest,
            "step": step,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(file)

    def load(self, file: Path) -> int:
        """Take up a checkpoint; return how many steps are done: 0 if there is none."""
        if not file.is_file():
            return 0
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state["digest"] != self.digest:
            raise Misconfigured(f"{file} is of another configuration: train without --resume")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        step: int = state["step"]
        return step
