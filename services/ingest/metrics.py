"""Every metric of ingest, with its unit and help."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

POSTS = Counter(
    "uproar_ingest_posts_total",
    "Posts taken, by verdict: accepted, duplicate, unmatched, rejected.",
    ["verdict"],
    registry=REGISTRY,
)
POSTS_CUT = Counter(
    "uproar_ingest_posts_cut_total", "Posts whose text was over 16 KiB.", registry=REGISTRY
)
POSTS_LATE = Counter(
    "uproar_ingest_posts_late_total",
    "Posts older than what their own stream had reached.",
    registry=REGISTRY,
)
BODY_BYTES = Counter(
    "uproar_ingest_body_bytes_total", "Bytes of request bodies, unpacked.", registry=REGISTRY
)
PUSH_SECONDS = Histogram(
    "uproar_ingest_push_seconds",
    "From the request to its answer, the broker's acknowledgement included, by status.",
    ["status"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
UNACKNOWLEDGED_RECORDS = Gauge(
    "uproar_ingest_unacknowledged_records", "Records the broker owes an answer.", registry=REGISTRY
)
UNACKNOWLEDGED_SECONDS = Gauge(
    "uproar_ingest_unacknowledged_seconds",
    "Age of the oldest record that the broker has not acknowledged.",
    registry=REGISTRY,
)
PRODUCERS = Counter(
    "uproar_ingest_producers_total",
    "Producers built; more than one a process means failed deliveries.",
    registry=REGISTRY,
)
EVENT_TIME = Gauge(
    "uproar_ingest_event_time_seconds",
    "How far the event time of a source has come (Unix time).",
    ["source"],
    registry=REGISTRY,
)
SOURCE_STATE = Gauge(
    "uproar_ingest_source_state",
    "1 for the state a source is in, 0 for the others.",
    ["source", "state"],
    registry=REGISTRY,
)
SUBJECTS = Gauge("uproar_ingest_subjects", "Subjects on the watch list.", registry=REGISTRY)
SEEN_IDS = Gauge("uproar_ingest_seen_ids", "Ids of posts remembered.", registry=REGISTRY)
UNREADABLE_FRAMES = Counter(
    "uproar_ingest_unreadable_frames_total",
    "Frames of a network that nobody can read.",
    ["source"],
    registry=REGISTRY,
)
SOURCE_GAPS = Counter(
    "uproar_ingest_source_gaps_total",
    "Times that posts of a network are missing for good.",
    ["source"],
    registry=REGISTRY,
)
SOURCE_RESTARTS = Counter(
    "uproar_ingest_source_restarts_total",
    "Times that a network broke off, was silent or could not be reached.",
    ["source"],
    registry=REGISTRY,
)
DELETIONS = Counter(
    "uproar_ingest_deletions_total",
    "Posts and accounts passed on as taken back: only those of which a post had been passed on.",
    registry=REGISTRY,
)
