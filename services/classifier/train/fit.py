"""Fit: rows -> a fine-tuned encoder with its heads. Seeded, and resumable at every checkpoint."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from services.classifier.engine.tokens import Tokeniser, equal_length_batches
from services.classifier.train.data import UNKNOWN, Row
from services.classifier.train.settings import BINARY, SENTIMENT, Settings
from uproar.errors import Misconfigured

_CHECKPOINT_STEPS = 100
_CHUNK = 2048  # rows sorted by length together: little padding, still well mixed
_WARM_UP = 0.05
HEADS = (*SENTIMENT, *BINARY)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as numbers: token ids, sentiment (rows,) and binary labels (rows, 2), -1 unknown."""

    ids: list[list[int]]
    sentiment: NDArray[np.int64]
    binary: NDArray[np.float32]


class Classifier(nn.Module):  # type: ignore[misc] # torch has no types here
    """An encoder, mean pooling and one linear layer; logits in the order of :data:`HEADS`."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.Linear(encoder.config.hidden_size, len(HEADS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        share = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * share).sum(1) / share.sum(1)
        logits: Tensor = self.heads(self.dropout(pooled))
        return logits


def untrained(base: Path, kept: list[int], layers: int) -> Classifier:
    """Build the bottom layers of the base with the kept rows of its embeddings, which stay fixed."""
    try:
        config = BertConfig.from_pretrained(base)
        state = load_file(base / "model.safetensors")
    except OSError as error:
        raise Misconfigured(f"base: {base}: {error}") from error
    config.num_hidden_layers, config.vocab_size = layers, len(kept)
    name = "embeddings.word_embeddings.weight"
    state = {k: v.float() for k, v in state.items() if _layer(k) < layers}
    state[name] = state[name][kept]
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(state)
    encoder.embeddings.word_embeddings.weight.requires_grad_(False)
    return Classifier(encoder)


def _layer(key: str) -> int:
    return int(key.split(".")[2]) if key.startswith("encoder.layer.") else -1


def encode(rows: Sequence[Row], tokeniser: Tokeniser) -> Encoded:
    """Tokenise rows; one that cannot be read has no ids and is never drawn."""
    return Encoded(
        ids=[ids or [] for ids in tokeniser.encode([row.text for row in rows])],
        sentiment=np.array([row.sentiment for row in rows], np.int64),
        binary=np.array([row.binary for row in rows], np.float32).reshape(-1, len(BINARY)),
    )


def plan(
    lengths: Sequence[int], repeats: Sequence[float], budget: int, rng: np.random.Generator
) -> list[list[int]]:
    """
    Draw the batches of the whole run.

    Args:
        lengths: Tokens of each row; 0 is never drawn.
        repeats: How often each row is to be seen; its fraction is a chance.
        budget: Tokens of a batch, padding included.
        rng: Where chance comes from.

    Returns:
        Row numbers of each batch.
    """
    whole = np.floor(repeats).astype(int)
    times = whole + (rng.random(len(whole)) < np.asarray(repeats) - whole)
    drawn = np.repeat(np.arange(len(lengths)), times * (np.asarray(lengths) > 0))
    rng.shuffle(drawn)
    batches = []
    for start in range(0, len(drawn), _CHUNK):
        chunk = sorted(drawn[start : start + _CHUNK].tolist(), key=lambda row: lengths[row])
        batches += list(_packed(chunk, lengths, budget))
    order = rng.permutation(len(batches))
    return [batches[at] for at in order]


def _packed(rows: list[int], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for row in rows:  # the longest comes last
        if batch and (len(batch) + 1) * lengths[row] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def fit(
    model: Classifier, data: Encoded, repeats: Sequence[float], settings: Settings, *, resume: bool
) -> None:
    """Train in place; checkpoints in ``settings.work``."""
    rng = np.random.default_rng(settings.seed)
    batches = plan([len(i) for i in data.ids], repeats, settings.batch_tokens, rng)
    batches = batches[: settings.steps]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    optimiser = _optimiser(model, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _slope(len(batches)))
    prior = _log_prior(data, repeats).to(device) * settings.prior_weight
    checkpoint = settings.work / "checkpoint.pt"
    parts = _Parts(model, optimiser, schedule, _digest(settings, len(batches)))
    done = parts.load(checkpoint) if resume else 0
    with Progress() as progress:
        task = progress.add_task("train", total=len(batches), completed=done)
        for step in range(done, len(batches)):
            torch.manual_seed(settings.seed + step)  # a resumed run drops the same units
            loss = _loss(model, data, batches[step], prior)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            progress.update(task, advance=1, description=f"train, loss {loss.item():.3f}")
            if (step + 1) % _CHECKPOINT_STEPS == 0:
                parts.save(checkpoint, step + 1)
                progress.console.log(f"step {step + 1} of {len(batches)}, loss {loss.item():.3f}")
    model.to("cpu").eval()


def logits(model: Classifier, data: Encoded) -> NDArray[np.float32]:
    """Compute float32 logits (rows, heads); NaN for a row without ids."""
    result = np.full((len(data.ids), len(HEADS)), np.nan, np.float32)
    model.eval()
    with torch.inference_mode(), _precision(torch.device("cpu")):
        for batch in equal_length_batches([len(i) for i in data.ids], 4096):
            ids = torch.tensor([data.ids[row] for row in batch])
            result[batch] = model(ids, torch.ones_like(ids)).float().numpy()
    return result


def _loss(model: Classifier, data: Encoded, batch: list[int], prior: Tensor) -> Tensor:
    device = prior.device
    longest = max(len(data.ids[row]) for row in batch)
    ids = torch.ones(len(batch), longest, dtype=torch.long)  # 1 is <pad>
    mask = torch.zeros(len(batch), longest, dtype=torch.long)
    for at, row in enumerate(batch):
        ids[at, : len(data.ids[row])] = torch.tensor(data.ids[row])
        mask[at, : len(data.ids[row])] = 1
    with _precision(device):
        out = model(ids.to(device), mask.to(device)).float()
    sentiment = torch.from_numpy(data.sentiment[batch]).to(device)
    binary = torch.from_numpy(data.binary[batch]).to(device)
    of_sentiment = functional.cross_entropy(
        out[:, : len(SENTIMENT)] + prior, sentiment, ignore_index=UNKNOWN, reduction="sum"
    )
    of_binary = functional.binary_cross_entropy_with_logits(
        out[:, len(SENTIMENT) :], binary.clamp(min=0), weight=(binary >= 0).float(), reduction="sum"
    )
    return (of_sentiment + of_binary) / len(batch)


def _precision(device: torch.device) -> torch.autocast | nullcontext[None]:
    fast = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def _optimiser(model: Classifier, rate: float) -> torch.optim.AdamW:
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in encoder if p.ndim > 1], "lr": rate, "weight_decay": 0.01},
        {"params": [p for p in encoder if p.ndim <= 1], "lr": rate, "weight_decay": 0.0},
        {"params": list(model.heads.parameters()), "lr": rate * 10, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups)


def _slope(steps: int) -> Callable[[int], float]:
    warm = max(1, int(steps * _WARM_UP))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (steps - step) / max(1, steps - warm))

    return factor


def _log_prior(data: Encoded, repeats: Sequence[float]) -> Tensor:
    """How often each sentiment is drawn, as logarithms: rare ones need not fight their rareness."""
    known = data.sentiment != UNKNOWN
    drawn = np.bincount(
        data.sentiment[known], weights=np.asarray(repeats)[known], minlength=len(SENTIMENT)
    )
    return torch.tensor([math.log(max(n, 1.0) / max(drawn.sum(), 1.0)) for n in drawn])


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


def _digest(settings: Settings, batches: int) -> str:
    """Name what a checkpoint may be continued with: same settings, same plan."""
    said = msgspec.json.encode([settings, batches], enc_hook=str)
    return hashlib.blake2b(said, digest_size=8).hexdigest()
