"""Recipe: the steps of a training run, in their order."""

import torch

from services.classifier.engine.int8 import Int8Engine
from services.classifier.engine.tokens import Tokeniser, normalise
from services.classifier.train import card, data, measure, vocabulary
from services.classifier.train.calibrate import calibrate
from services.classifier.train.export import export
from services.classifier.train.fit import encode, fit, logits, untrained
from services.classifier.train.settings import Settings
from uproar.errors import Misconfigured


def follow(settings: Settings, *, resume: bool) -> None:
    """Train, calibrate, export, measure and write the card."""
    torch.manual_seed(settings.seed)
    parts = data.training(settings)
    rows = [row for part in parts for row in part.train]
    if not rows:
        raise Misconfigured("source: no row is left to train on")
    repeats = [part.source.repeat for part in parts for _ in part.train]
    base = settings.base / "tokenizer.json"
    if not base.is_file():
        raise Misconfigured(f"base: {settings.base} holds no tokenizer.json")
    kept = vocabulary.choose(base, (normalise(row.text) for row in rows), settings.vocabulary)
    tokenizer = vocabulary.prune(base, kept)
    settings.work.mkdir(parents=True, exist_ok=True)
    (settings.work / "tokenizer.json").write_text(tokenizer, "utf-8")
    tokeniser = Tokeniser(settings.work / "tokenizer.json")

    model = untrained(settings.base, kept, settings.layers)
    fit(model, encode(rows, tokeniser), repeats, settings, resume=resume)

    held_out = encode([row for part in parts for row in part.calibration], tokeniser)
    found = calibrate(logits(model, held_out), held_out.sentiment, held_out.binary)
    folder = settings.output / settings.name
    export(model, found, tokenizer, folder, settings.name)

    engine = Int8Engine(folder)
    tests = data.validation(settings) | {
        f"{part.source.file} (held out)": part.test for part in parts if part.test
    }
    figures = measure.all_figures(engine, tests)
    (folder / "README.md").write_text(card.write(settings, parts, found, figures), "utf-8")
