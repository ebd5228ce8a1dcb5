"""Export: a trained classifier -> a folder for the int8 engine. The only room that knows its format."""

import json
import shutil
from pathlib import Path

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from numpy.typing import NDArray
from torch import Tensor, nn

from services.classifier.engine.tokens import MAX_TOKENS
from services.classifier.train.calibrate import Calibration
from services.classifier.train.lastlayer import write
from services.classifier.train.model import Classifier
from services.classifier.train.settings import Settings


def export(
    model: Classifier, calibration: Calibration, tokenizer: str, folder: Path, settings: Settings
) -> None:
    """
    Write ``model.bin`` (int8), ``config.json``, ``vocabulary.json``, ``tokenizer.json`` and
    ``heads.json``, whose weights have the calibration in them. Heads nothing taught are left out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pieces = [piece for piece, _ in json.loads(tokenizer)["model"]["vocab"]]
    spec = _spec(model.encoder)
    spec.register_vocabulary(pieces)
    spec.config.unk_token = "<unk>"  # noqa: S105
    spec.config.layer_norm_epsilon = model.encoder.config.layer_norm_eps
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    short = json.dumps(pieces, ensure_ascii=False, separators=(",", ":"))
    (folder / "vocabulary.json").write_text(short, "utf-8")
    (folder / "tokenizer.json").write_text(tokenizer, "utf-8")
    write(model, calibration, settings, folder / "heads.json")


def _spec(encoder: nn.Module) -> transformer_spec.TransformerEncoderModelSpec:
    config = encoder.config
    spec = transformer_spec.TransformerEncoderSpec(
        config.num_hidden_layers,
        config.num_attention_heads,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
    )
    spec.scale_embeddings = False
    embeddings = encoder.embeddings
    # every token is of type 0 and no text is longer than the cap: add the one, cut the other
    positions = embeddings.position_embeddings.weight[:MAX_TOKENS]
    spec.position_encodings.encodings = _array(
        positions + embeddings.token_type_embeddings.weight[0]
    )
    spec.embeddings[0].weight = _array(embeddings.word_embeddings.weight)
    _normalise(spec.layernorm_embedding, embeddings.LayerNorm)
    for target, layer in zip(spec.layer, encoder.encoder.layer, strict=True):
        attention = layer.attention
        parts = [attention.self.query, attention.self.key, attention.self.value]
        joined = target.self_attention.linear[0]
        joined.weight = np.concatenate([_array(part.weight) for part in parts])
        joined.bias = np.concatenate([_array(part.bias) for part in parts])
        _linear(target.self_attention.linear[1], attention.output.dense)
        _normalise(target.self_attention.layer_norm, attention.output.LayerNorm)
        _linear(target.ffn.linear_0, layer.intermediate.dense)
        _linear(target.ffn.linear_1, layer.output.dense)
        _normalise(target.ffn.layer_norm, layer.output.LayerNorm)
    return transformer_spec.TransformerEncoderModelSpec(spec)


def _linear(target: common_spec.LinearSpec, source: nn.Module) -> None:
    target.weight, target.bias = _array(source.weight), _array(source.bias)


def _normalise(target: common_spec.LayerNormSpec, source: nn.Module) -> None:
    target.gamma, target.beta = _array(source.weight), _array(source.bias)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().clone().numpy()
    return array  # a copy: quantising writes into it
