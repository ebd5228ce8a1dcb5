"""A base and a data set small enough to train on in a second, and learnable: good days, bad days."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from tests.unit.services.classifier.train.rows import write

GOOD = ("lovely", "great", "thanks", "merci", "superbe")
BAD = ("broken", "awful", "refund", "cassé", "honteux")
PLAIN = ("monday", "store", "opens", "ticket", "lundi")
_OTHER = ("the", "my", "was", "le", "http", "@user")


def a_base(folder: Path) -> Path:
    """Write a two-layer encoder with a tokenizer of whole words and single letters."""
    words = [f"▁{word}" for word in (*GOOD, *BAD, *PLAIN, *_OTHER)]
    letters = list("abcdefghijklmnopqrstuvwxyzé@0123456789▁")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *words, *letters, "<mask>"]
    scores = [0.0] * 4 + [-2.0] * len(words) + [-8.0] * len(letters) + [0.0]
    added = [
        {"id": at, "content": pieces[at], "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for at in (0, 1, 2, 3, len(pieces) - 1)
    ]  # fmt: skip
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    ends = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</s>", "type_id": 0}}]  # fmt: skip
    special = {
        name: {"id": name, "ids": [at], "tokens": [name]} for at, name in ((0, "<s>"), (2, "</s>"))
    }
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFKC"}, "pre_tokenizer": space, "decoder": space,
        "post_processor": {"type": "TemplateProcessing", "single": ends, "pair": ends,
                           "special_tokens": special},
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False,
                  "vocab": list(map(list, zip(pieces, scores, strict=True)))},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=130, pad_token_id=1,
    )  # fmt: skip
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.embeddings.word_embeddings.weight.data.mul_(30)  # words must differ to be told apart
    config.save_pretrained(folder)
    save_file({k: v.clone() for k, v in encoder.state_dict().items()}, folder / "model.safetensors")
    return folder


def some_rows(count: int) -> list[dict]:
    """Make ``count`` rows whose one telling word gives the label."""
    rows = []
    for at in range(count):
        kind = at % 3
        words = (BAD, PLAIN, GOOD)[kind]
        text = f"the {words[at % 5]} {words[at // 5 % 5]} {at}"
        labels = {"sentiment": ("negative", "neutral", "positive")[kind], "complaint": kind == 0}
        rows.append({"id": str(at), "text": text, "lang": "en", "labels": labels})
    return rows


def a_config(folder: Path, **changed: object) -> Path:
    """Write base, data and configuration into a folder; return the configuration's path."""
    base = folder / "base"
    if not base.exists():
        a_base(base)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    rows = some_rows(330)
    write(data / "train.jsonl", rows[:300])
    write(data / "val.jsonl", rows[300:])
    values: dict[str, object] = {
        "name": "tiny", "base": str(base), "data": str(data), "output": str(folder / "weights"),
        "work": str(folder / "work"), "seed": 5, "layers": 2, "vocabulary": 60,
        "batch_tokens": 128, "learning_rate": 0.002, "calibration_share": 0.2,
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values | changed).items()]
    lines += [
        "[[source]]", 'file = "train.jsonl"', 'heads = ["sentiment", "complaint"]',
        'licence = "ours"', "repeat = 6.0",
        "[[validation]]", 'file = "val.jsonl"', 'heads = ["sentiment", "complaint"]',
        'licence = "ours"',
    ]  # fmt: skip
    file = folder / "tiny.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file
