"""Partitioner: which assessments partition a subject belongs to. Nobody else decides that."""

from functools import lru_cache

from uproar.subject import SubjectId


@lru_cache(maxsize=65_536)
def partition_of(subject: SubjectId, partitions: int) -> int:
    """Return the partition of a subject, as every Kafka client with default settings would."""
    return (_murmur2(subject.encode()) & 0x7FFF_FFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Murmur2 with Kafka's seed, 32 bits (org.apache.kafka.common.utils.Utils.murmur2)."""
    prime, mask = 0x5BD1_E995, 0xFFFF_FFFF
    value = 0x9747_B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * prime & mask
        word = (word ^ word >> 24) * prime & mask
        value = value * prime & mask ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * prime & mask
    value = (value ^ value >> 13) * prime & mask
    return value ^ value >> 15
