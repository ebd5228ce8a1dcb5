"""Hugging Face: any sequence-classification model in safetensors, on torch. Never remote code."""

import errno
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.tokens import MAX_TOKENS, normalise
from uproar.errors import Misconfigured, Unavailable

HEADS = ("negative", "neutral", "positive")
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
_NAMES = {
    "negative": 0, "neg": 0, "bad": 0, "verynegative": 0,
    "neutral": 1, "neu": 1, "mixed": 1,
    "positive": 2, "pos": 2, "good": 2, "verypositive": 2,
}  # fmt: skip
_NUMBERED = {2: (0, 2), 3: (0, 1, 2), 5: (0, 0, 1, 2, 2)}
"""LABEL_0, LABEL_1 ... from worst to best, which is the custom; so are one to five stars."""
_DISK = {
    errno.EACCES,
    errno.EDQUOT,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class HuggingFaceEngine:
    """
    A sentiment model as its makers published it.

    Floating-point matrix products depend on the number of rows, so a post is computed alone: slower
    than in batches, and the same whoever its neighbours are.
    """

    heads: tuple[str, ...] = HEADS
    marks: tuple[str, str] | None = None

    def __init__(self, model: str, *, device: str = "cpu", threads: int = 1) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise Misconfigured(
                f"UPROAR_MODEL: {model} runs on torch: pip install 'uproar[torch]'"
            ) from error
        if device == "cuda" and not torch.cuda.is_available():
            raise Misconfigured("UPROAR_DEVICE: cuda, but torch sees no GPU")
        folder = Path(model).expanduser()
        folder = folder if folder.is_dir() else _download(model)
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **safe
            )
            self._tokeniser = transformers.AutoTokenizer.from_pretrained(folder, **safe)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise Misconfigured(f"UPROAR_MODEL: {model} cannot be loaded: {first}") from error
        if threads:
            torch.set_num_threads(threads)
        self.name = model.rstrip("/").rpartition("/")[2]
        self._columns = columns(self._model.config.id2label)
        self._model.to(device).eval()
        self._torch = torch
        limit = getattr(self._model.config, "max_position_embeddings", MAX_TOKENS)
        self._longest = min(MAX_TOKENS, limit)

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts: float32 (texts, 3), in their order; NaN for a text with nothing to read."""
        scores = np.full((len(texts), len(HEADS)), np.nan, np.float32)
        for row, text in enumerate(map(normalise, texts)):
            if text:
                scores[row] = self._one(text)
        return scores

    def _one(self, text: str) -> NDArray[np.float64]:
        tokens = self._tokeniser(
            text, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._model.device)
        with self._torch.inference_mode():
            logits = self._model(**tokens).logits[0]
        shares = logits.double().softmax(-1).cpu().numpy()
        sums: NDArray[np.float64] = np.zeros(len(HEADS))
        np.add.at(sums, self._columns, shares)
        return sums


def columns(labels: Mapping[int, str]) -> list[int]:
    """
    Say which of :data:`HEADS` each label of a model counts for.

    Args:
        labels: ``id2label`` of the model's configuration.

    Raises:
        Misconfigured: The labels are not a sentiment.
    """
    names = [re.sub(r"[^a-z0-9]", "", labels[at].lower()) for at in sorted(labels)]
    found = [_NAMES.get(name) for name in names]
    if all(at is not None for at in found) and {0, 2} <= set(found):
        return [at for at in found if at is not None]
    digits = ["".join(filter(str.isdigit, name)) for name in names]
    bare = all(re.fullmatch(r"(label)?\d|\dstars?", name) for name in names)
    if bare and digits == sorted(set(digits)) and len(names) in _NUMBERED:
        return list(_NUMBERED[len(names)])
    raise Misconfigured(
        f"UPROAR_MODEL: its labels are {', '.join(map(str, labels.values()))}; "
        "a sentiment model is needed (negative / positive, or 1 to 5 stars)"
    )


def _download(model: str) -> Path:
    """Fetch a model of the hub, tensors and tables alone, never pickles or code."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(_FILES)))
    except (errors.HFValidationError, errors.RepositoryNotFoundError) as error:
        raise Misconfigured(
            f"UPROAR_MODEL: {model} is no directory here and no model of the hub"
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise Misconfigured(
                f"UPROAR_MODEL: {model} cannot be kept here ({error}): name a folder for it in HF_HOME"
            ) from error
        raise Unavailable(f"UPROAR_MODEL: {model}: the hub does not answer: {error}") from error
