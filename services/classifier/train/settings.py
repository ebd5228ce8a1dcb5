"""Settings of a training run: the TOML file of ``uproar train --config``, checked."""

import tomllib
from pathlib import Path

import msgspec

from uproar.errors import Misconfigured

SENTIMENT = ("negative", "neutral", "positive")
BINARY = ("complaint", "offensive")


class Source(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    One labelled file and what to learn from it.

    Attributes:
        file: JSONL (``.gz``) or TSV, relative to ``data`` of the run, or to the working directory
            when it begins with ``./``.
        heads: Labels to use; all others of the file are unknown to the model.
        repeat: How often each row is seen over the whole run; a fraction draws rows by chance.
        test_share: Share of rows kept out to measure with, for a file that has no validation twin.
        licence: Its terms, for the card.
    """

    file: str
    heads: list[str]
    licence: str
    repeat: float = 1.0
    test_share: float = 0.0


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """
    A training run; paths are relative to the working directory.

    Attributes:
        name: Name of the model and of its folder under ``output``.
        base: Folder of the encoder to start from.
        data: Folder of the labelled files.
        output: Where the finished model goes.
        work: Folder of checkpoints.
        layers: Bottom layers to keep.
        vocabulary: Pieces to keep.
        batch_tokens: Tokens of a batch.
        learning_rate: Peak of the encoder's rate; that of the heads is ten times as high.
        prior_weight: Strength of the logit adjustment for rare sentiment classes (0: none).
        calibration_share: Share of the training rows kept out to calibrate with.
        steps: Stop after so many steps (to try a configuration out); None for the whole plan.
        source: What to learn from.
        validation: Files nothing of which may be in the training rows, measured at the end.
    """

    name: str
    base: Path
    data: Path
    output: Path
    work: Path
    seed: int
    layers: int = 6
    vocabulary: int = 50_000
    batch_tokens: int = 1024
    learning_rate: float = 1e-4
    prior_weight: float = 0.5
    calibration_share: float = 0.04
    steps: int | None = None
    source: list[Source]
    validation: list[Source]


def read(config: Path) -> Settings:
    """
    Read the settings.

    Raises:
        Misconfigured: The file is absent, not TOML, or a value is wrong or missing.
    """
    try:
        document = tomllib.loads(config.read_text("utf-8"))
        settings = msgspec.convert(document, Settings, dec_hook=_path)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"{config}: {error}") from error
    for source in (*settings.source, *settings.validation):
        unknown = set(source.heads) - {"sentiment", *BINARY}
        if unknown:
            raise Misconfigured(f"{config}: {source.file}: no such head: {', '.join(unknown)}")
    return settings


def _path(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError
