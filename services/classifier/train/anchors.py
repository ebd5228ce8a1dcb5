"""Anchors: the embeddings of the untouched base, which a fine-tuned model must not forget."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from services.classifier.train.batches import packed
from services.classifier.train.device import chosen, precision
from services.classifier.train.model import Classifier, padded
from services.classifier.train.settings import Embedding

_BATCH_TOKENS = 4096


def anchors(
    base: Classifier, ids: list[list[int]], wanted: list[int], wish: Embedding, file: Path
) -> NDArray[np.float16]:
    """
    Embed rows by the base, centred and turned onto their main directions but the very first.

    Args:
        base: All layers of the base, untrained.
        ids: Tokens of all rows.
        wanted: Row numbers that the run will see; the others stay at 0.
        wish: How many numbers, and how many directions to leave out.
        file: Where they are kept for a resumed run, and taken from if there.

    Returns:
        (rows, size), of length 1.
    """
    if file.is_file():
        kept: NDArray[np.float16] = np.load(file, allow_pickle=False)
        if kept.shape == (len(ids), wish.size):
            return kept
    vectors = _pooled(base, ids, wanted)
    mean = vectors.mean(axis=0)
    spread = np.cov(vectors - mean, rowvar=False)
    _, directions = np.linalg.eigh(spread)  # the largest come last
    turned = (vectors - mean) @ directions[:, ::-1][:, wish.skip : wish.skip + wish.size]
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-9)
    found = np.zeros((len(ids), wish.size), np.float16)
    found[wanted] = turned
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, found)
    return found


def _pooled(base: Classifier, ids: list[list[int]], wanted: list[int]) -> NDArray[np.float32]:
    device = chosen()
    base.to(device).eval()
    place = {row: at for at, row in enumerate(wanted)}
    lengths = [len(row) for row in ids]
    order = sorted(wanted, key=lambda row: lengths[row])
    result = np.empty((len(wanted), base.encoder.config.hidden_size), np.float32)
    with Progress(transient=True) as progress, torch.inference_mode(), precision(device):
        task = progress.add_task("embedding of the base", total=len(wanted))
        for batch in packed(order, lengths, _BATCH_TOKENS):
            pooled = base.pooled(*padded([ids[row] for row in batch], device))
            unit = torch.nn.functional.normalize(pooled.float(), dim=1)
            result[[place[row] for row in batch]] = unit.cpu().numpy()
            progress.advance(task, len(batch))
    base.cpu()
    return result
