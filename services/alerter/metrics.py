"""Every metric of the alerter, with its unit. No label names a subject, a person or an incident."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

EVENTS = Counter(
    "uproar_alerter_records_total",
    "Records read from Kafka.",
    ["topic", "outcome"],  # outcome: stored, repeated, malformed
    registry=REGISTRY,
)
RETRIES = Counter(
    "uproar_alerter_retries_total",
    "Times that reading or publishing had to wait for the broker or the database.",
    ["part"],  # consume, publish
    registry=REGISTRY,
)
INCIDENTS = Gauge(
    "uproar_alerter_incidents",
    "Incidents by state, as of the last look at the database.",
    ["state"],
    registry=REGISTRY,
)
OUTBOX_PENDING = Gauge(
    "uproar_alerter_outbox_pending",
    "Deliveries that are not done yet.",
    registry=REGISTRY,
)
OUTBOX_OLDEST = Gauge(
    "uproar_alerter_outbox_oldest_seconds",
    "Age of the oldest delivery that is not done yet; 0 without one.",
    registry=REGISTRY,
)
OUTBOX_WAITING = Gauge(
    "uproar_alerter_outbox_receiver_pending",
    "Deliveries that are not done yet, by receiver.",
    ["receiver"],  # as uproar.toml names it
    registry=REGISTRY,
)
OUTBOX_DEAD = Gauge(
    "uproar_alerter_outbox_dead",
    "Deliveries that were refused for good, by receiver.",
    ["receiver"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "uproar_alerter_deliveries_total",
    "Attempts to deliver, by the notifier's type and how they ended.",
    ["notifier", "outcome"],  # outcome: sent, retry, refused, unknown
    registry=REGISTRY,
)
POST_TO_PAGE = Histogram(
    "uproar_alerter_post_to_page_seconds",
    "From the acceptance of the batch that closed the deciding minute to the receipt of the page.",
    buckets=(0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900, 3600),
    registry=REGISTRY,
)
PAGES_30D = Gauge(
    "uproar_alerter_pages_30d",
    "Waves of the last 30 days that paged, by what people said of them.",
    ["verdict"],  # none, or as people judge
    registry=REGISTRY,
)
BUDGET_30D = Gauge(
    "uproar_alerter_budget_30d",
    "Pages that the budgets of all subjects leave to chance in 30 days.",
    registry=REGISTRY,
)
SUBJECTS_PUBLISHED = Counter(
    "uproar_alerter_subjects_published_total",
    "Subjects and tombstones sent to the watch-list topic.",
    registry=REGISTRY,
)
CALLBACKS = Counter(
    "uproar_alerter_callbacks_total",
    "What people did in Slack or PagerDuty, by the receiver's type and what became of it.",
    ["type", "outcome"],  # outcome: done, repeated, echo, late, refused, unknown, untrusted
    registry=REGISTRY,
)
