"""Every metric of the classifier, with its unit and help. Labels are bounded: agents and reasons."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# ------------------------------------------------------------------------------------ the worker
RECORDS = Counter(
    "uproar_classifier_records_total",
    "Records handled, watermarks included",
    ["agent"],
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "uproar_classifier_batch_seconds",
    "From the hand-over of a batch to its commit",
    ["agent"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
LAG_RECORDS = Gauge(
    "uproar_classifier_lag_records",
    "Records that are in the topic and not handled yet",
    ["agent"],
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "uproar_classifier_dead_letters_total",
    "Records that can never be processed",
    ["agent"],
    registry=REGISTRY,
)
RETRIES = Counter(
    "uproar_classifier_retries_total",
    "Attempts that failed because the world was down",
    ["agent"],
    registry=REGISTRY,
)
HOLES = Counter(
    "uproar_classifier_holes_total",
    "Times the client skipped records and was sent back for them",
    ["agent"],
    registry=REGISTRY,
)
EXPIRED = Counter(
    "uproar_classifier_expired_total",
    "Records that retention removed before they were handled",
    ["agent"],
    registry=REGISTRY,
)
SNAPSHOT_TIMESTAMP = Gauge(
    "uproar_classifier_snapshot_timestamp_seconds",
    "Wall clock of the newest snapshot",
    ["file"],
    registry=REGISTRY,
)

# ----------------------------------------------------------------------------------------- score
POSTS = Counter("uproar_classifier_posts_total", "Posts scored", registry=REGISTRY)
UNSCORED = Counter(
    "uproar_classifier_posts_unscored_total",
    "Posts that flowed on without scores because the engine failed",
    registry=REGISTRY,
)
OWED = Gauge(
    "uproar_classifier_posts_owed",
    "Posts that flowed on unscored and wait for their scores to be filled in",
    registry=REGISTRY,
)
FILLED_IN = Counter(
    "uproar_classifier_posts_filled_in_total",
    "Posts whose scores followed when the engine was back",
    registry=REGISTRY,
)
GIVEN_UP = Counter(
    "uproar_classifier_posts_given_up_total",
    "Posts that stay unscored because too many were owed",
    registry=REGISTRY,
)
REPEATS = Counter(
    "uproar_classifier_posts_repeated_total",
    "Posts that read like one whose scores are remembered: over the posts scored, the hit rate",
    registry=REGISTRY,
)
ENGINE_SECONDS = Histogram(
    "uproar_classifier_engine_seconds",
    "Time of the engine for a batch",
    buckets=_SECONDS,
    registry=REGISTRY,
)
ENGINE_FAILURES = Counter(
    "uproar_classifier_engine_failures_total", "Batches the engine failed on", registry=REGISTRY
)

# ---------------------------------------------------------------------------------------- detect
DROPPED = Counter(
    "uproar_classifier_dropped_total",
    "Posts and assessments that do not count, by reason",
    ["reason"],
    registry=REGISTRY,
)
BACKLASH = Counter(
    "uproar_classifier_backlash_total", "Backlash events sent", ["event"], registry=REGISTRY
)
READINGS = Counter("uproar_classifier_readings_total", "Readings sent", registry=REGISTRY)
MODEL = Info("uproar_classifier_model", "The model that scores posts", registry=REGISTRY)
EVENT_TIME = Gauge(
    "uproar_classifier_event_time_timestamp_seconds",
    "Event time to which the slowest partition is decided",
    registry=REGISTRY,
)
SILENT_SOURCES = Gauge(
    "uproar_classifier_silent_sources",
    "Live sources not heard of for a minute, set aside",
    registry=REGISTRY,
)
