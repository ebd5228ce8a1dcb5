"""Native: the encoder in C on AVX-512 VNNI (encoder.c). Where it cannot run, CTranslate2 does."""

import ctypes
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.engine.native.weights import read

LIBRARY = Path(__file__).with_name("encoder.so")
"""Built by ``hatch_build.py`` when the package is installed on a machine with a C compiler."""
INTERFACE = 1
"""What ``supported`` answers: the layout of the structures below."""
BATCH_TOKENS = 512
"""Tokens of a call: speed no longer grows from there (measured), and memory does."""

_PANEL = 64
_GELU = 3  # CTranslate2's number of the exact one
_HEAD_SIZES = (32, 64)
_EPSILON = 1e-12  # BERT's


class _Linear(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("weight", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class _Norm(ctypes.Structure):
    _fields_ = (("gamma", ctypes.c_void_p), ("beta", ctypes.c_void_p))


class _Layer(ctypes.Structure):
    _fields_ = (
        ("attend", _Linear),
        ("merge", _Linear),
        ("widen", _Linear),
        ("narrow", _Linear),
        ("after_attention", _Norm),
        ("after_feed", _Norm),
    )


class _Encoder(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int32),
        ("feed", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("layers", ctypes.c_int32),
        ("epsilon", ctypes.c_float),
        ("words", ctypes.c_void_p),
        ("word_scale", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("after_words", _Norm),
        ("layer", ctypes.POINTER(_Layer)),
    )


class NativeEncoder:
    """
    Token ids -> mean-pooled vectors.

    Texts lie one behind the other in a call, so nothing is padded and none waits for others of its
    length. Any number of threads may call :meth:`encode` at once; the lock of the interpreter is
    free meanwhile.

    Args:
        folder: With CTranslate2's ``model.bin``.

    Raises:
        Misconfigured: The file cannot be read.
        Unsuitable: This machine or this model is none for it.
    """

    window = 32
    """Texts that one thread takes at a time."""

    def __init__(self, folder: Path) -> None:
        library = _library()
        if library is None:
            raise Unsuitable("it was not built here, or the processor lacks AVX-512 VNNI")
        self._library = library
        self._kept: list[Any] = []  # what the structures point to
        self._encoder = self._build(read(folder / "model.bin"))
        self._local = threading.local()

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Encode texts of 1 to 128 tokens: float32 (texts, width)."""
        lengths = np.array([len(ids) for ids in texts], np.int32)
        pooled = np.empty((len(texts), self._encoder.width), np.float32)
        for begin, end in _batches(lengths):
            ids = np.concatenate([np.asarray(ids, np.int32) for ids in texts[begin:end]])
            if ids.min() < 0 or ids.max() >= self._words or lengths.max() > self._longest:
                raise ValueError("a token or a length that the model does not have")
            self._library.encode(
                ctypes.byref(self._encoder),
                ids.ctypes.data,
                lengths[begin:end].ctypes.data,
                end - begin,
                self._space(len(ids)),
                pooled[begin:end].ctypes.data,
            )
        return pooled

    def _space(self, tokens: int) -> int:
        """Return the address of this thread's workspace."""
        if tokens > getattr(self._local, "tokens", 0):
            size = self._library.workspace(ctypes.byref(self._encoder), tokens)
            self._local.tokens, self._local.space = tokens, np.empty(size + 64, np.uint8)
        address: int = self._local.space.ctypes.data
        return -(-address // 64) * 64

    # ------------------------------------------------------------------------------- the structures

    def _build(self, stored: Mapping[str, NDArray[Any]]) -> _Encoder:
        words = stored["encoder/embeddings_0/weight"]
        layers = sum(name.endswith("ffn/linear_0/weight") for name in stored)
        width, heads = words.shape[1], int(stored["encoder/num_heads"])
        self._words = words.shape[0]
        self._longest = stored["encoder/position_encodings/encodings"].shape[0]
        _check(stored, width, heads)
        each = [self._layer(stored, f"encoder/layer_{number}") for number in range(layers)]
        return _Encoder(
            width=width,
            feed=stored["encoder/layer_0/ffn/linear_0/weight"].shape[0],
            heads=heads,
            layers=layers,
            epsilon=_EPSILON,
            words=self._keep(words),
            word_scale=self._keep(1 / stored["encoder/embeddings_0/weight_scale"]),
            positions=self._keep(stored["encoder/position_encodings/encodings"]),
            after_words=self._norm(stored, "encoder/layernorm_embedding"),
            layer=(_Layer * layers)(*each),
        )

    def _layer(self, stored: Mapping[str, NDArray[Any]], name: str) -> _Layer:
        return _Layer(
            attend=self._linear(stored, f"{name}/self_attention/linear_0"),
            merge=self._linear(stored, f"{name}/self_attention/linear_1"),
            widen=self._linear(stored, f"{name}/ffn/linear_0"),
            narrow=self._linear(stored, f"{name}/ffn/linear_1"),
            after_attention=self._norm(stored, f"{name}/self_attention/layer_norm"),
            after_feed=self._norm(stored, f"{name}/ffn/layer_norm"),
        )

    def _linear(self, stored: Mapping[str, NDArray[Any]], name: str) -> _Linear:
        weight = stored[f"{name}/weight"]
        outputs, inputs = weight.shape
        panels = weight.reshape(outputs // _PANEL, _PANEL, inputs // 4, 4).transpose(0, 2, 1, 3)
        return _Linear(
            inputs=inputs,
            outputs=outputs,
            weight=self._keep(panels),
            shift=self._keep(-128 * weight.sum(axis=1, dtype=np.int32)),
            scale=self._keep(1 / stored[f"{name}/weight_scale"]),
            bias=self._keep(stored[f"{name}/bias"]),
        )

    def _norm(self, stored: Mapping[str, NDArray[Any]], name: str) -> _Norm:
        return _Norm(
            gamma=self._keep(stored[f"{name}/gamma"]), beta=self._keep(stored[f"{name}/beta"])
        )

    def _keep(self, array: NDArray[Any]) -> int:
        kept = np.ascontiguousarray(array)
        if not kept.flags.aligned:
            kept = kept.copy()
        self._kept.append(kept)
        return kept.ctypes.data


class Unsuitable(Exception):
    """The native encoder does not run this model on this machine; the other one does."""


def _check(stored: Mapping[str, NDArray[Any]], width: int, heads: int) -> None:
    """Refuse what encoder.c does not do."""
    linears = [array for name, array in stored.items() if "/linear_" in name and array.ndim == 2]
    flags = ("pre_norm", "scale_embeddings", "multi_query_attention")
    if any(array.dtype != np.int8 or any(n % _PANEL for n in array.shape) for array in linears):
        raise Unsuitable(f"a matrix is not int8 in multiples of {_PANEL}")
    if width % heads or width // heads not in _HEAD_SIZES:
        raise Unsuitable(f"{heads} heads for a width of {width}")
    if int(stored["encoder/activation"]) != _GELU or any(
        int(stored.get(f"encoder/{flag}", 0)) for flag in flags
    ):
        raise Unsuitable("not built like BERT")
    if "encoder/layernorm_embedding/gamma" not in stored:
        raise Unsuitable("its embeddings are not normalised")


def _batches(lengths: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Cut texts into runs of at most BATCH_TOKENS; a longer one is a run of its own."""
    begin, tokens = 0, 0
    for place, length in enumerate(lengths.tolist()):
        if begin < place and tokens + length > BATCH_TOKENS:
            yield begin, place
            begin, tokens = place, 0
        tokens += length
    if begin < len(lengths):
        yield begin, len(lengths)


@cache
def _library() -> ctypes.CDLL | None:
    """Load the library; None where it is missing, from another version, or for other processors."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.supported.restype = ctypes.c_int
        if library.supported() != INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    library.workspace.restype = ctypes.c_size_t
    library.workspace.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.encode.restype = None
    library.encode.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int32] + [ctypes.c_void_p] * 2
    return library
