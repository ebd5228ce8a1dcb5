"""Model: an encoder, mean pooling, the heads and the embedding; from a base, to and from a file."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from services.classifier.train.targets import COLUMNS
from uproar.errors import Misconfigured

_SHARD_BYTES = 15_000_000
_WORDS = "embeddings.word_embeddings.weight"


class Classifier(nn.Module):  # type: ignore[misc] # torch has no types here
    """
    Logits in the order of :data:`services.classifier.train.targets.COLUMNS`, and an embedding.

    Attributes:
        projection: Pooled vector -> embedding; None for a model without one.
    """

    def __init__(self, encoder: BertModel, embedding: int = 0) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.Linear(width, len(COLUMNS))
        self.projection = nn.Linear(width, embedding, bias=False) if embedding else None

    def pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Give the mean of the last layer over the tokens, (posts, width)."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        share = mask.unsqueeze(-1).to(hidden.dtype)
        mean: Tensor = (hidden * share).sum(1) / share.sum(1)
        return mean

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Give logits (posts, columns) and embeddings (posts, size), from one pass."""
        pooled = self.pooled(ids, mask)
        vectors = None if self.projection is None else self.projection(pooled)
        return self.heads(self.dropout(pooled)), vectors

    def write(self, folder: Path) -> list[Path]:
        """
        Write the weights in half precision, in shards that travel; frozen word embeddings stay out.

        Returns:
            The files.
        """
        words = self.encoder.embeddings.word_embeddings.weight
        left_out = set() if words.requires_grad else {f"encoder.{_WORDS}"}
        shards: list[dict[str, Tensor]] = [{}]
        size = 0
        for name, value in self.state_dict().items():
            if name in left_out:
                continue
            half = value.detach().half().cpu().contiguous()
            if size + half.nbytes > _SHARD_BYTES and shards[-1]:
                shards.append({})
                size = 0
            shards[-1][name] = half
            size += half.nbytes
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"trained-{at:02}.safetensors" for at in range(len(shards))]
        for file, shard in zip(files, shards, strict=True):
            save_file(shard, file)
        return files

    def load(self, files: list[Path]) -> None:
        """
        Load weights that :meth:`write` wrote; word embeddings that are missing stay the base's.

        Raises:
            Misconfigured: They are of another model.
        """
        state = {k: v.float() for file in files for k, v in load_file(file).items()}
        missing, unknown = self.load_state_dict(state, strict=False)
        if unknown or set(missing) - {f"encoder.{_WORDS}"}:
            raise Misconfigured(f"{files[0]}: weights of another model: {[*missing, *unknown][:3]}")


def untrained(
    base: Path, kept: list[int], layers: int | list[int], *, frozen: bool = True, embedding: int = 0
) -> Classifier:
    """
    Build some layers of a base with the kept rows of its word embeddings.

    Args:
        base: Folder with ``config.json`` and ``model.safetensors``.
        kept: Vocabulary rows to keep.
        layers: How many bottom layers, or the numbers of those to keep.
        frozen: Never change the word embeddings.
        embedding: Numbers of the sentence embedding; 0: none.

    Raises:
        Misconfigured: The base cannot be read, or has no such layer.
    """
    try:
        config = BertConfig.from_pretrained(base)
        state = load_file(base / "model.safetensors")
    except OSError as error:
        raise Misconfigured(f"base: {base}: {error}") from error
    wanted = list(range(layers)) if isinstance(layers, int) else layers
    if not wanted or max(wanted) >= config.num_hidden_layers:
        raise Misconfigured(f"layers: {base} has {config.num_hidden_layers} layers")
    state = {name: value.float() for key, value in state.items() if (name := _renamed(key, wanted))}
    state[_WORDS] = state[_WORDS][kept]
    config.num_hidden_layers, config.vocab_size = len(wanted), len(kept)
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(state)
    encoder.embeddings.word_embeddings.weight.requires_grad_(not frozen)
    return Classifier(encoder, embedding)


def _renamed(key: str, wanted: list[int]) -> str:
    """Give the name that a tensor of the base has among the wanted layers; empty: left out."""
    if not key.startswith("encoder.layer."):
        return key
    parts = key.split(".")
    if int(parts[2]) not in wanted:
        return ""
    return ".".join([*parts[:2], str(wanted.index(int(parts[2]))), *parts[3:]])


def padded(ids: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Give ids and mask, (posts, longest)."""
    longest = max(map(len, ids))
    filled = torch.ones(len(ids), longest, dtype=torch.long)  # 1 is <pad>
    mask = torch.zeros(len(ids), longest, dtype=torch.long)
    for at, row in enumerate(ids):
        filled[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return filled.to(device), mask.to(device)
