"""Dequantised: the encoder of the int8 file on torch, in floats: on a GPU, and to see what int8 costs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.native.weights import read
from services.classifier.engine.tokens import equal_length_batches
from uproar.errors import Misconfigured

_BATCH_TOKENS = 4096
_EPSILON = 1e-12  # BERT's


class DequantisedEncoder:
    """
    Token ids -> mean-pooled vectors.

    The weights are those of ``model.bin``, exactly; activations are floats. Batches hold texts of
    equal length, but a floating-point product may round by the number of rows: **scores hang on
    their neighbours in the last digits**, so this one runs only where it is asked for.

    Args:
        folder: With CTranslate2's ``model.bin``.
        device: ``cpu`` or ``cuda``.

    Raises:
        Misconfigured: torch is missing, the file cannot be read, or there is no such device.
    """

    window = 1024
    """Texts that one thread takes at a time."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        try:
            import torch
        except ImportError as error:
            raise Misconfigured(
                f"{folder} in floats runs on torch: pip install 'uproar[torch]'"
            ) from error
        if device == "cuda" and not torch.cuda.is_available():
            raise Misconfigured("UPROAR_DEVICE: cuda, but torch sees no GPU")
        self._torch, self._device = torch, device
        stored = read(folder / "model.bin")
        self._heads = int(stored["encoder/num_heads"])
        self._tensors = {
            name.removeprefix("encoder/"): torch.from_numpy(_floats(stored, name)).to(device)
            for name, values in stored.items()
            if values.ndim and not name.endswith("_scale")
        }
        self._layers = sum(name.endswith("ffn/linear_0/weight") for name in self._tensors)

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Encode texts of 1 to 128 tokens: float32 (texts, width)."""
        torch = self._torch
        pooled = np.empty((len(texts), self._tensors["embeddings_0/weight"].shape[1]), np.float32)
        with torch.inference_mode():
            for places in equal_length_batches([len(ids) for ids in texts], _BATCH_TOKENS):
                ids = torch.tensor([list(texts[at]) for at in places], device=self._device)
                pooled[places] = self._forward(ids).mean(dim=1).cpu().numpy()
        return pooled

    def _forward(self, ids: Any) -> Any:
        words = self._tensors["embeddings_0/weight"][ids]
        positions = self._tensors["position_encodings/encodings"][: ids.shape[1]]
        hidden = self._norm(words + positions, "layernorm_embedding")
        for at in range(self._layers):
            name = f"layer_{at}"
            mixed = self._attend(hidden, f"{name}/self_attention")
            hidden = self._norm(hidden + mixed, f"{name}/self_attention/layer_norm")
            wide = self._torch.nn.functional.gelu(self._linear(hidden, f"{name}/ffn/linear_0"))
            narrow = self._linear(wide, f"{name}/ffn/linear_1")
            hidden = self._norm(hidden + narrow, f"{name}/ffn/layer_norm")
        return hidden

    def _attend(self, hidden: Any, name: str) -> Any:
        posts, tokens, width = hidden.shape
        parts = self._linear(hidden, f"{name}/linear_0").view(posts, tokens, 3, self._heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = self._torch.nn.functional.scaled_dot_product_attention(query, key, value)
        return self._linear(mixed.transpose(1, 2).reshape(posts, tokens, width), f"{name}/linear_1")

    def _linear(self, hidden: Any, name: str) -> Any:
        weight, bias = self._tensors[f"{name}/weight"], self._tensors[f"{name}/bias"]
        return self._torch.nn.functional.linear(hidden, weight, bias)

    def _norm(self, hidden: Any, name: str) -> Any:
        gamma, beta = self._tensors[f"{name}/gamma"], self._tensors[f"{name}/beta"]
        return self._torch.nn.functional.layer_norm(
            hidden, hidden.shape[-1:], gamma, beta, _EPSILON
        )


def _floats(stored: Any, name: str) -> NDArray[np.float32]:
    values = np.array(stored[name], np.float32)
    scale = stored.get(f"{name}_scale")
    return values if scale is None else values / np.asarray(scale, np.float32)[:, None]
