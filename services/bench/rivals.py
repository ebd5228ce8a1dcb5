"""Rivals: the naive way to score posts, alone and behind Kafka; what the machine could do at best."""

import json
import os
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from services.bench.rounds import Work
from services.broker import KafkaSettings, kafka_python
from uproar.topics import POSTS

_SHAPES = ((1024, 384, 1536), (2048, 1536, 384), (2048, 2048, 2048))
"""Tokens, inputs, outputs. The best of them counts."""
_REPEATS = 8


def naive(base: Path, texts: Sequence[str]) -> Work:
    """
    Score posts one by one with ``transformers.pipeline``, as the first example of its manual does.

    Args:
        base: The checkpoint with all its layers; a head for three classes is put on it, untrained,
            because only its shape costs time.
        texts: As many as a round shall take.
    """
    pipeline = _pipeline(base)

    def work() -> float:
        for text in texts:
            pipeline(text)
        return len(texts)

    return work


def naive_consumer(base: Path, settings: KafkaSettings, posts: int, *, since: datetime) -> Work:
    """
    Read the posts of the topic with kafka-python, as its manual's first example does, and score each.

    Args:
        base: As for :func:`naive`.
        settings: How to reach the broker; the topic must hold posts.
        posts: As many as a round shall take; each round goes on where the last one ended.
        since: Event time before which posts are passed over.
    """
    pipeline = _pipeline(base)
    consumer = KafkaConsumer(**kafka_python(settings), group_id=None, auto_offset_reset="earliest")
    numbers = consumer.partitions_for_topic(POSTS.name)
    consumer.assign([TopicPartition(POSTS.name, number) for number in sorted(numbers)])

    def work() -> float:
        done = 0
        for message in consumer:
            value = json.loads(message.value)
            if "text" in value and datetime.fromisoformat(value["created_at"]) >= since:
                pipeline(value["text"])
                done += 1
                if done == posts:
                    break
        return done

    return work


def _pipeline(base: Path) -> Any:
    import torch
    import transformers

    torch.set_num_threads(os.cpu_count() or 1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=3, dtype=torch.float32, local_files_only=True
        )
        tokeniser = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
        return transformers.pipeline(
            "text-classification", model=model, tokenizer=tokeniser, device="cpu"
        )


def peak(shape: tuple[int, int, int]) -> Work:
    """Multiply int8 matrices with ``torch._int_mm`` on all cores: operations, two a multiply-add."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    tokens, inputs, outputs = shape
    left = torch.ones((tokens, inputs), dtype=torch.int8)
    right = torch.ones((inputs, outputs), dtype=torch.int8)

    def work() -> float:
        for _ in range(_REPEATS):
            torch._int_mm(left, right)
        return 2.0 * tokens * inputs * outputs * _REPEATS

    return work


def peaks() -> dict[str, Work]:
    """Give one piece of work for each shape."""
    return {f"peak {'x'.join(map(str, shape))}": peak(shape) for shape in _SHAPES}
