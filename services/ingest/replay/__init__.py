"""`uproar replay`: recorded posts to a running ingest."""

from services.ingest.replay.bar import Bar
from services.ingest.replay.play import Progress, Summary, replay

__all__ = ["Bar", "Progress", "Summary", "replay"]
