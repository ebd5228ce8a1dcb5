"""Recipe: the steps of a training run, in their order."""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from services.classifier.engine.lexical import FILE
from services.classifier.engine.tokens import Tokeniser, normalise
from services.classifier.evaluate import rows as labelled
from services.classifier.evaluate.bench import Bench
from services.classifier.evaluate.recorded import Recorder, Vectors
from services.classifier.evaluate.run import measure
from services.classifier.train import card, curves, data, lexical, soft, vocabulary
from services.classifier.train.anchors import anchors
from services.classifier.train.batches import encode, plan, thinned
from services.classifier.train.calibrate import Calibration, calibrate
from services.classifier.train.data import Part, Row
from services.classifier.train.device import named
from services.classifier.train.fit import fit, logits, pooled
from services.classifier.train.floats import FloatEngine
from services.classifier.train.lastlayer import write
from services.classifier.train.loss import Lessons, log_prior
from services.classifier.train.measure import all_figures
from services.classifier.train.model import Classifier, untrained
from services.classifier.train.settings import Settings
from uproar.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a run starts from: its rows, the vocabulary they need, and a model that knows nothing."""

    parts: list[Part]
    kept: list[int]
    tokenizer: str
    tokeniser: Tokeniser
    model: Classifier


def follow(settings: Settings, *, resume: bool, fit_only: bool = False) -> None:
    """
    Train, calibrate, export, measure and write the card.

    Args:
        settings: The run.
        resume: Go on from the last checkpoint, or from finished weights that lie in ``work``.
        fit_only: Stop at the finished weights: on a machine that has a GPU and no CTranslate2.
    """
    torch.manual_seed(settings.seed)
    run = prepare(settings)
    finished = sorted(settings.work.glob("trained-*.safetensors"))
    proof = settings.work / "trained.json"
    if resume and finished and proof.is_file():
        if labelled.read_json(proof)["digest"] != settings.digest:
            raise Misconfigured(f"{proof} is of another configuration: train without --resume")
        run.model.load(finished)
        run.model.eval()
    else:
        for file in (*finished, proof):  # of a former run
            file.unlink(missing_ok=True)
        began = time.monotonic()
        _train(run, settings, resume=resume)
        took = round(time.monotonic() - began)
        run.model.write(settings.work)
        _tell(run, settings)
        _answer(run, settings)
        about = {"digest": settings.digest, "seconds": took, "device": named()}
        proof.write_text(json.dumps(about) + "\n", "utf-8")
    if not fit_only:
        _finish(run, settings)


def prepare(settings: Settings) -> Prepared:
    """Read the rows, choose the vocabulary, build the model."""
    parts = data.training(settings)
    rows = _rows(parts)
    if not rows:
        raise Misconfigured("source: no row is left to train on")
    base = settings.base / "tokenizer.json"
    if not base.is_file():
        raise Misconfigured(f"base: {settings.base} holds no tokenizer.json")
    kept = vocabulary.choose(base, (normalise(row.text) for row in rows), settings.vocabulary)
    tokenizer = vocabulary.prune(base, kept)
    settings.work.mkdir(parents=True, exist_ok=True)
    (settings.work / "tokenizer.json").write_text(tokenizer, "utf-8")
    size = settings.embedding.size if settings.embedding else 0
    return Prepared(
        parts=parts,
        kept=kept,
        tokenizer=tokenizer,
        tokeniser=Tokeniser(settings.work / "tokenizer.json"),
        model=untrained(
            settings.base, kept, settings.layers, frozen=settings.frozen, embedding=size
        ),
    )


def _train(run: Prepared, settings: Settings, *, resume: bool) -> None:
    encoded = encode(_rows(run.parts), run.tokeniser)
    repeats = thinned(
        [part.source.repeat for part in run.parts for _ in part.train],
        encoded.lengths,
        settings.rows,
    )
    rng = np.random.default_rng(settings.seed)
    batches = plan(encoded.lengths, repeats, settings.batch_tokens, rng)[: settings.steps]
    prior = log_prior(encoded, repeats, settings.prior_weight)
    seen = sorted({row for batch in batches for row in batch})
    targets = None
    if settings.embedding:
        every = untrained(settings.base, run.kept, _depth(settings))
        kept = settings.work / "anchors.npy"
        targets = anchors(every, encoded.ids, seen, settings.embedding, kept)
    taught = None
    if settings.distil:
        ids = [(part.source.file, [row.id for row in part.train]) for part in run.parts]
        taught = soft.read(settings.distil.teacher, ids)
    lessons = Lessons(data=encoded, soft=taught, anchors=targets, prior=prior)
    aside = encode([row for part in run.parts for row in part.calibration], run.tokeniser)
    held_out = Lessons(data=aside, soft=None, anchors=None, prior=prior)
    found = fit(run.model, lessons, held_out, batches, settings, resume=resume)
    curves.draw(found.points, settings.name, settings.work / "curves.png")


def _depth(settings: Settings) -> int:
    config = labelled.read_json(settings.base / "config.json")
    return int(config["num_hidden_layers"])


def _tell(run: Prepared, settings: Settings) -> None:
    """Write what other runs and the benchmarks need of this one: soft labels, vectors."""
    if settings.soft:
        told = {
            part.source.file: (
                [row.id for row in part.train],
                logits(run.model, encode(part.train, run.tokeniser)),
            )
            for part in run.parts
        }
        soft.write(settings.soft, told)
    if settings.vectors:
        texts = [
            row.text
            for file in settings.vector_files
            for row in labelled.read(settings.data / file)
        ]
        ids = [row or [] for row in run.tokeniser.encode(texts)]
        Vectors.write(settings.vectors, texts, pooled(run.model, ids))


def _answer(run: Prepared, settings: Settings) -> None:
    """Ask the fitted model, still in floats, the benchmarks, and write what it says."""
    if settings.answers is None:
        return
    file = settings.work / "heads.json"
    write(run.model, _calibrated(run, settings), settings, file)
    recorder = Recorder(FloatEngine(run.model, run.tokeniser, file, _lexical(run, settings)))
    bench = Bench(
        data=settings.data.parent,
        engine=recorder,
        rng=np.random.default_rng(settings.seed),
        keep=recorder.held_out,
        resamples=0,
    )
    measure(bench, settings.asked)
    recorder.write(settings.answers)


def _calibrated(run: Prepared, settings: Settings) -> Calibration:
    held_out = encode([row for part in run.parts for row in part.calibration], run.tokeniser)
    return calibrate(logits(run.model, held_out), held_out, settings.stream)


def _lexical(run: Prepared, settings: Settings) -> Path | None:
    """Learn the part of the embedding that knows words, beside the weights; None where none is wanted."""
    if not settings.embedding or not settings.embedding.lexical:
        return None
    file = settings.work / FILE
    ids = encode(_rows(run.parts), run.tokeniser).ids
    words = run.model.encoder.embeddings.word_embeddings.weight.detach().float().cpu().numpy()
    lexical.learn(ids, words, settings.embedding.lexical, file)
    return file


def _finish(run: Prepared, settings: Settings) -> None:
    from services.classifier.engine.int8 import Int8Engine  # noqa: PLC0415 - not where it is fitted
    from services.classifier.train.export import export  # noqa: PLC0415 - as above

    found = _calibrated(run, settings)
    folder = settings.output / settings.name
    export(run.model, found, run.tokenizer, folder, settings)
    if (words := _lexical(run, settings)) is not None:
        shutil.copy(words, folder / words.name)
    engine = Int8Engine(folder)
    tests = data.validation(settings) | {
        f"{part.source.file} (held out)": part.test for part in run.parts if part.test
    }
    figures = all_figures(engine, tests)
    took = labelled.read_json(settings.work / "trained.json")
    text = card.write(
        settings, run.parts, found, figures, f"{took['seconds']} s on {took['device']}"
    )
    (folder / "README.md").write_text(text, "utf-8")
    drawn = settings.work / "curves.png"
    if drawn.is_file():
        (folder / "curves.png").write_bytes(drawn.read_bytes())


def _rows(parts: Sequence[Part]) -> list[Row]:
    return [row for part in parts for row in part.train]
