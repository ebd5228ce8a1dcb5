"""Settings of a training run: the TOML file of ``uproar train --config``, checked."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from services.classifier.train.targets import HEADS
from uproar.errors import Misconfigured

NON_COMMERCIAL = ("us_airline", "tweeteval_hate", "airline_", "spotify", "evently_auspol")
"""Parts of the names of sets that a model for sale must not learn from."""
VALIDATION_ONLY = ("_val.", "rerc_fr", "free_fr", "replays/", "complaints2019")
"""Never learned from, by any model: what we measure on (the last is X-CI once more)."""


class Source(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    One labelled file and what to learn from it.

    Attributes:
        file: JSONL (``.gz``) or TSV, relative to ``data`` of the run, or to the working directory
            when it begins with ``./``.
        heads: What to teach; all other labels of the file are unknown to the model.
        repeat: How often each row is seen over the whole run; a fraction draws rows by chance.
        test_share: Share of rows kept out to measure with, for a file that has no validation twin.
        calibration_share: Share of rows kept out to calibrate with; None: that of the run.
        most: Most rows to take, chosen by their texts; None: all.
        subject: The sentiment is towards ``target``: its mention is marked.
        without_languages: Languages to leave out, for a file whose labels cannot be trusted there.
        licence: Its terms, for the card.
    """

    file: str
    heads: list[str]
    licence: str
    repeat: float = 1.0
    test_share: float = 0.0
    calibration_share: float | None = None
    most: int | None = None
    subject: bool = False
    without_languages: list[str] = []


class Distil(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    Learning from a teacher.

    Attributes:
        teacher: Its soft labels, as ``soft`` of its own run wrote them.
        weight: Share of the teacher in the loss; the labels have the rest.
        temperature: How much softer than they are both sides are compared.
    """

    teacher: Path
    weight: float = 0.6
    temperature: float = 2.0


class Embedding(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    The sentence embedding, learned from the base's own (all its layers, as they were published).

    Attributes:
        size: Numbers of a vector.
        skip: Main directions of the base's vectors to leave out first: what all posts share, and
            their language, tell no event from another (Mu and Viswanath 2018, "All-but-the-top").
        weight: Weight of its loss beside that of the heads.
        lexical: Numbers that say which words a post is made of, beside those; needs no training,
            only word embeddings that stayed as they were.
    """

    size: int = 128
    skip: int = 0
    weight: float = 2.0
    lexical: int = 128


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    A training run; paths are relative to the working directory.

    A file may say ``like = "other.toml"`` to start from another one beside it, and ``without = [...]``
    to leave out heads and (parts of names of) files.

    Attributes:
        name: Name of the model and of its folder under ``output``.
        base: Folder of the encoder to start from.
        data: Folder of the labelled files.
        output: Where the finished model goes.
        work: Folder of checkpoints, curves and what stands between the steps.
        terms: ``commercial`` refuses sets that are marked non-commercial; ``research`` takes them,
            and its model may not go under ``services/classifier/weights``.
        layers: Bottom layers to keep, or the numbers of those to keep.
        vocabulary: Pieces to keep.
        frozen: Leave the word embeddings as they are.
        batch_tokens: Tokens of a batch.
        learning_rate: Peak of the encoder's rate; that of the heads is ten times as high.
        prior_weight: Strength of the logit adjustment for rare sentiment classes (0: none).
        calibration_share: Share of the training rows kept out to calibrate with.
        stream: How often negative, neutral and positive posts are in the stream to calibrate for.
        rows: Most rows seen in the whole run; beyond it every source is thinned alike.
        steps: Stop after so many steps (to try a configuration out); None for the whole plan.
        distil: The teacher; None to learn from labels alone.
        embedding: None for a model that has none.
        soft: Where to write the soft labels of this run's model; None: nowhere.
        vectors: Where to write its encoder's vectors of ``vector_files``, on which `uproar evaluate
            classifier --blind` refits heads; None: nowhere.
        vector_files: Files of the data.
        answers: Where to write what the fitted model, still in floats, answers to the benchmarks
            (`uproar evaluate classifier --model`); None: nowhere.
        asked: Those benchmarks; ``data`` must then be the `labelled` folder of the whole data.
        shards: Whether its weights come home from a machine it was fitted on: not needed of a run
            that leaves soft labels or vectors alone.
        source: What to learn from.
        validation: Files nothing of which may be in the training rows, measured at the end.
    """

    name: str
    base: Path
    data: Path
    output: Path
    work: Path
    seed: int
    terms: Literal["commercial", "research"] = "commercial"
    layers: int | list[int] = 6
    vocabulary: int = 50_000
    frozen: bool = True
    batch_tokens: int = 1024
    learning_rate: float = 1e-4
    prior_weight: float = 0.5
    calibration_share: float = 0.04
    stream: tuple[float, float, float] = (0.2, 0.4, 0.4)
    rows: int | None = None
    steps: int | None = None
    distil: Distil | None = None
    embedding: Embedding | None = None
    soft: Path | None = None
    vectors: Path | None = None
    vector_files: list[str] = []
    answers: Path | None = None
    asked: list[str] = []
    shards: bool = True
    source: list[Source]
    validation: list[Source]

    @property
    def digest(self) -> str:
        """Name what is trained: equal for runs that differ in where their files lie alone."""
        places = dict.fromkeys(("base", "data", "output", "work", "soft", "vectors", "answers"))
        said = msgspec.to_builtins(self, enc_hook=lambda path: path.name) | places
        del said["stream"]  # as the next: is for what is done to finished weights
        if said["embedding"]:
            del said["embedding"]["lexical"]
        return hashlib.blake2b(msgspec.json.encode(said), digest_size=8).hexdigest()

    @property
    def taught(self) -> list[str]:
        """Heads that some source teaches, in their order; the others are absent from the model."""
        return [head for head in HEADS if any(head in source.heads for source in self.source)]

    @property
    def marked(self) -> bool:
        """Whether the model learns to judge towards a subject."""
        return any(source.subject for source in self.source)


def read(config: Path) -> Settings:
    """
    Read the settings.

    Raises:
        Misconfigured: The file is absent, not TOML, a value is wrong or missing, or it would learn
            from what it must not.
    """
    try:
        document = _document(config)
        settings = msgspec.convert(document, Settings, dec_hook=_path)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"{config}: {error}") from error
    for source in (*settings.source, *settings.validation):
        unknown = set(source.heads) - set(HEADS)
        if unknown:
            raise Misconfigured(f"{config}: {source.file}: no such head: {', '.join(unknown)}")
    if "sentiment" not in settings.taught:
        raise Misconfigured(f"{config}: source: none teaches sentiment, which every model has")
    if abs(sum(settings.stream) - 1) > 1e-6 or min(settings.stream) <= 0:
        raise Misconfigured(f"{config}: stream: three shares above 0 that sum to 1")
    _check_terms(config, settings)
    return settings


def _document(config: Path) -> dict[str, Any]:
    """Read a file; ``like`` names one beside it to start from, ``without`` what to leave out of that."""
    document = tomllib.loads(config.read_text("utf-8"))
    like, without = document.pop("like", None), set(document.pop("without", []))
    if like is None:
        return document
    document = _document(config.parent / like) | document
    for name in ("source", "validation"):
        document[name] = [
            source | {"heads": heads}
            for source in document.get(name, [])
            if not any(part in source["file"] for part in without)
            and (heads := [head for head in source["heads"] if head not in without])
        ]
    return document


def _check_terms(config: Path, settings: Settings) -> None:
    for source in settings.source:
        if any(part in source.file for part in VALIDATION_ONLY):
            raise Misfit(config, source.file, "is for validation only: nothing may learn from it")
        if settings.terms == "commercial" and any(p in source.file for p in NON_COMMERCIAL):
            why = 'is marked non-commercial: only a run with terms = "research" may learn from it'
            raise Misfit(config, source.file, why)
    if settings.terms == "research" and "weights" in settings.output.parts:
        raise Misconfigured(f"{config}: output: a research model may not go where models ship from")


class Misfit(Misconfigured):
    """A source that this run must not learn from."""

    def __init__(self, config: Path, file: str, why: str) -> None:
        super().__init__(f"{config}: {file} {why}")


def _path(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError
