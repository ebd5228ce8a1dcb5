"""Topics: the name, the values and the dead letters of each. The numbers: schemas/topics.yaml."""

from dataclasses import dataclass
from typing import Any, Final

from uproar.assessment import Assessment
from uproar.backlash import Backlash
from uproar.post import Deletion, Post
from uproar.reading import Reading
from uproar.subject import Subject
from uproar.watermark import SourceState, Watermark
from uproar.wire import Codec, DeadLetter, Headers, Record


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic: its name and the codec of its values."""

    name: str
    codec: Codec

    @property
    def dead_letters(self) -> str:
        """The topic for what can never be processed."""
        return f"{self.name}.dlq"

    def record(
        self,
        value: object,
        *,
        key: str | None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Record:
        """Make the record that carries a value (None: the tombstone of a compacted topic)."""
        return Record(
            topic=self.name,
            value=None if value is None else self.codec.encode(value),
            key=None if key is None else key.encode(),
            headers=headers,
            partition=partition,
        )

    def decode(self, record: Record) -> Any:
        """Return the value of a record; raises Malformed."""
        return self.codec.decode(record.value)


POSTS: Final = Topic("uproar.posts.v1", Codec({"post": Post, "watermark": Watermark}))
ASSESSMENTS: Final = Topic(
    "uproar.assessments.v1", Codec({"assessment": Assessment, "watermark": Watermark})
)
BACKLASH: Final = Topic("uproar.backlash.v1", Codec({"backlash": Backlash}))
READINGS: Final = Topic("uproar.readings.v1", Codec({"reading": Reading}))
SUBJECTS: Final = Topic("uproar.subjects.v1", Codec({"subject": Subject}))
SOURCES: Final = Topic("uproar.sources.v1", Codec({"source": SourceState}))
DELETIONS: Final = Topic("uproar.deletions.v1", Codec({"deletion": Deletion}))

ALL: Final = (POSTS, ASSESSMENTS, BACKLASH, READINGS, SUBJECTS, SOURCES, DELETIONS)

DEAD_LETTER: Final = Codec({"dead-letter": DeadLetter})
