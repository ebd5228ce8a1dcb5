"""Engine: texts -> calibrated probabilities. Not which posts, nor what follows from the scores."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uproar.errors import Misconfigured

SHIPPED = "e5-small-6l-5"
"""The model under ``services/classifier/weights`` that is used unless another is named."""
FIREHOSE = "e5-small-3l-5"
"""The one beside it for who has more posts than time: half the layers."""


class Engine(Protocol):
    """
    What turns texts into probabilities.

    Attributes:
        name: Name of the model, kept with every score.
        heads: Columns of the scores, named as in :class:`uproar.assessment.Scores`; the first
            three are ``negative``, ``neutral``, ``positive``.
        marks: What stands around a mention of the subject that the sentiment is wanted towards;
            None for a model that was not taught it, and reads every post for itself.
    """

    @property
    def name(self) -> str: ...
    @property
    def heads(self) -> tuple[str, ...]: ...
    @property
    def marks(self) -> tuple[str, str] | None: ...

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """
        Score texts: float32 (texts, heads), in their order; NaN rows where a text has no score.

        A text's scores are the same, bit for bit, alone or in any company. No text raises. One
        caller at a time; it may block for as long as the texts take.
        """
        ...


def load(model: str | None = None, *, device: str = "cpu", threads: int | None = None) -> Engine:
    """
    Load a model.

    Args:
        model: None for the shipped one, the name of either; a directory (int8 as ``uproar train``
            writes it, or Hugging Face); or the id of any Hugging Face sequence-classification model
            in safetensors.
        device: ``cpu`` or ``cuda``.
        threads: How many compute at once; None for one on each core.

    Raises:
        Misconfigured: No such model, not one that can be used, or ``uproar[torch]`` is missing.
        Unavailable: The Hugging Face hub does not answer.
    """
    from services.classifier.engine.int8 import Int8Engine

    threads = threads or os.cpu_count() or 1
    if model is None or model in {SHIPPED, FIREHOSE}:
        return Int8Engine(shipped(model), device=device, threads=threads)
    folder = Path(model).expanduser()
    if (folder / "heads.json").is_file():
        return Int8Engine(folder, device=device, threads=threads)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise Misconfigured(f"UPROAR_MODEL: {folder} has neither heads.json nor config.json")

    from services.classifier.engine.huggingface import HuggingFaceEngine

    return HuggingFaceEngine(model, device=device, threads=threads)


def shipped(name: str | None = None) -> Path:
    """Return the folder of a shipped model, by default of the one that is used."""
    return Path(str(files("services.classifier.weights") / (name or SHIPPED)))
