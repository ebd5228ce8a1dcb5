"""
Metadata: aiokafka asks a broker what is there, and makes no topic by asking.

Its clients let a broker make what they ask for, with as many partitions as the broker likes, and have
no option against it; those of kafka-python and librdkafka have one, and we set it. Where a broker comes
back empty under a running process, the question would come before :func:`services.broker.ensure_topics`,
and the count be wrong for good (seen with the embedded one, on a busy machine).
"""

from functools import partial

import aiokafka.client
from aiokafka.protocol.metadata import MetadataRequest


def create_no_topics() -> None:
    """Let no aiokafka client of this process make topics, Faust's among them; those that run already too."""
    # The name that all of its clients build their questions by: private, and kept by a test.
    aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
