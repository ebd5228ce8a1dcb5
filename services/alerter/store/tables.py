"""Tables: every table of the alerter. What the columns mean is said by the values they hold."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    text,
)

from services.alerter.store.columns import SafeJson, SafeText, UtcDateTime

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --------------------------------------------------------------------------------- incidents

# A canary a minute would soon be most of every list: they stand in no index that a list is read from.
_REAL: Final = text("kind != 'canary'")
NO_CANARY: Final[dict[str, Any]] = {"sqlite_where": _REAL, "postgresql_where": _REAL}

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("id", SafeText, primary_key=True),
    Column("subject", SafeText, nullable=False),
    Column("subject_name", SafeText, nullable=False),  # stays when the subject is no longer watched
    Column("kind", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("level", SafeText, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("tens", Integer, Computed("severity / 10")),  # of the severity: a list by it is short
    Column("peak_severity", Integer, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("authors", Integer, nullable=False),
    Column("title", SafeText, nullable=False),
    Column("why", SafeJson, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),  # event time
    Column("happened_at", UtcDateTime, nullable=False),  # event time
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", SafeText),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", SafeText),
    Column("episode", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("began_at", UtcDateTime),  # event time of the last episode's first event
    Column("assignee", SafeText),
    Column("snoozed_until", UtcDateTime),
    Column("put_away_posts", Integer),
    Column("rated", Integer),
    Column("verdict", SafeText),
    Column("verdict_reason", SafeText),
    Column("verdict_by", SafeText),
    Column("verdict_at", UtcDateTime),
    Column("merged_into", SafeText),
    Column("merged_from", SafeText),
    Column("hushed", SafeText),  # what a silence holds back: `notice`, `trigger`, `page`
    # Each list is read in its order from an index that also decides its other filters.
    Index("ix_incidents_listed", "opened_at", "id", "severity", **NO_CANARY),
    Index("ix_incidents_by_state", "state", "opened_at", "id", "severity", **NO_CANARY),
    Index("ix_incidents_of_subject", "subject", "opened_at", "id", "severity", **NO_CANARY),
    Index("ix_incidents_by_subject", "subject", "state", "opened_at", "id", "severity"),
    Index("ix_incidents_by_severity", "severity", "opened_at", "id", "state", **NO_CANARY),
    Index("ix_incidents_by_tens", "tens", "opened_at", "id", "state", **NO_CANARY),
    Index(None, "snoozed_until"),
    Index(None, "merged_into"),
    Index(None, "hushed"),
)

EPISODES = Table(  # the waves of incidents, by the names that detection gave them
    "episodes",
    METADATA,
    Column("id", SafeText, primary_key=True),
    Column("incident", SafeText, ForeignKey("incidents.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("subject", SafeText, nullable=False),
    Column("level", SafeText, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("authors", Integer, nullable=False),
    Column("title", SafeText, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),  # event time
    Column("happened_at", UtcDateTime, nullable=False),  # event time
    Column("verdict", SafeText),
    Column("verdict_reason", SafeText),
    Column("verdict_by", SafeText),
    Column("verdict_at", UtcDateTime),
    Index(None, "incident", "number"),
    Index(None, "subject", "began_at"),
    Index(None, "verdict"),
)

TRANSITIONS = Table(
    "transitions",
    METADATA,
    Column("incident", SafeText, ForeignKey("incidents.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("happened", SafeText, nullable=False),
    Column("before", SafeText),
    Column("after", SafeText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("happened_at", UtcDateTime),
    Column("by", SafeText, nullable=False),
    Column("level", SafeText, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("authors", Integer, nullable=False),
    Column("page", Boolean, nullable=False),
    Column("backlash", SafeText),
    Column("summary", SafeText),
    Column("via", SafeText),  # through which surface, and from where
    Column("episode", Integer, nullable=False, server_default="1"),
    Column("other", SafeText),  # the other incident, or the assignee
    # A line is a version as well: how the incident stood from `at` until the next line (`until`).
    Column("position", BigInteger),  # its place among the lines of all incidents
    Column("until", UtcDateTime),
    Column("span", Integer),  # its length as a power of two of minutes, once it is known
    Column("subject", SafeText),
    Column("opened_at", UtcDateTime),  # none for a canary: it is in no list
    Column("standing", SafeJson),  # what else was true of the incident then
    Index(None, "position", unique=True),
    Index("ix_transitions_listed", "opened_at", "incident", "at", "until", "after", "severity"),
    Index("ix_transitions_by_subject", "subject", "opened_at", "incident", "at", "until", "after"),
    Index("ix_transitions_standing", "after", "span", "at", "until", "opened_at", "incident"),
)

BACKLASH = Table(  # every event taken, so that a repeat is known
    "backlash",
    METADATA,
    Column("id", SafeText, primary_key=True),
    Column("incident", SafeText, ForeignKey("incidents.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime),
    Column("traceparent", SafeText),
    Index(None, "incident"),
)

EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("incident", SafeText, ForeignKey("incidents.id"), primary_key=True),
    Column("post", SafeText, primary_key=True),
    Column("text", SafeText, nullable=False),
    Column("url", SafeText),
    Column("author", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("why", SafeText, nullable=False),
    Column("sequence", Integer, nullable=False),  # the transition that cited it last
    Column("place", Integer, nullable=False),  # its place among those cited together
    Column("cited_at", UtcDateTime),  # wall clock at which it was cited first
    Index(None, "post"),
    Index(None, "author"),
    Index(None, "cited_at"),
)

NETWORKS = Table(  # the first halves of the ids of posts that were ever cited
    "networks",
    METADATA,
    Column("name", SafeText, primary_key=True),
)

DELETIONS = Table(  # what was taken back, so that a later event cannot bring it again
    "deletions",
    METADATA,
    Column("what", SafeText, primary_key=True),  # `post:ID` or `author:PSEUDONYM`
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
)

ERASURES = Table(  # what people asked to be erased, until the topic tells everybody
    "erasures",
    METADATA,
    Column("what", SafeText, primary_key=True),  # `post:ID` or `author:PSEUDONYM`
    Column("asked_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Index(None, "published_at"),
)

# ------------------------------------------------------------------------------------ the outbox

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("id", SafeText, primary_key=True),  # a ULID, the same for every attempt
    Column("incident", SafeText, ForeignKey("incidents.id"), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("receiver", SafeText, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("payload", SafeJson, nullable=False),  # the notice, whole
    Column("state", SafeText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("lease_owner", SafeText),
    Column("leased_at", UtcDateTime),
    Column("fence", Integer, nullable=False),
    Column("doubtful", Boolean, nullable=False),
    Column("provider_ref", SafeText),
    Column("last_error", SafeText),
    Column("deadline", UtcDateTime),  # of a page only
    Column(
        "standby", Integer, nullable=False, server_default="0"
    ),  # told only if those before fail
    Column("bundle", SafeText),  # the delivery in whose message it goes out, in a storm
    Column("created_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("accepted_at", UtcDateTime),
    Column("traceparent", SafeText),
    UniqueConstraint("incident", "receiver", "sequence"),
    Index(None, "receiver", "state", "incident", "sequence"),
    Index("ix_deliveries_backlog", "state", "receiver", "created_at", "kind", "standby", "attempt"),
    Index(None, "created_at", "id"),
    Index(None, "bundle"),
)

RECEIVERS = Table(  # what is known of a receiver beside its settings
    "receivers",
    METADATA,
    Column("name", SafeText, primary_key=True),
    Column("next_at", UtcDateTime),  # it asked to be left alone until then
    Column("spent_until", UtcDateTime),  # how far its rate is spent: a bucket that fills by itself
)

# --------------------------------------------------------------------------------- the watch list

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("id", SafeText, primary_key=True),
    Column("kind", SafeText, nullable=False),
    Column("value", SafeJson, nullable=False),
    Column("version", Integer, nullable=False),  # counts its changes
    Column("published", Integer, nullable=False),  # the version that the topic has; 0 for none
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),  # the row stays: the file must not bring it back
    Column("seed", SafeText),  # digest of the file's entry when it was last taken over
)

READINGS = Table(
    "readings",
    METADATA,
    Column("subject", SafeText, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("decision", Boolean, primary_key=True),
    Column("seconds", Integer, nullable=False),
    Column("posts", Integer, nullable=False),
    Column("negative", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("authors", Integer, nullable=False),
    Column("unscored", Integer, nullable=False),
    Column("baseline", Float, nullable=False),
    Column("statistic", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("window_seconds", Integer, nullable=False),
    Column("negative_share", Float),
    Column("baseline_share", Float),
    Column("gate", SafeText, nullable=False),
    Column("heard", Float),
    Column("certainty", Float),
    Column("slow", Boolean, nullable=False, server_default=false()),
    Column("rules", SafeText),
    Column("received_at", UtcDateTime, nullable=False),
    Index(None, "received_at"),
)

SOURCES = Table(
    "sources",
    METADATA,
    Column("name", SafeText, primary_key=True),
    Column("state", SafeText, nullable=False),
    Column("event_time", UtcDateTime),
    Column("last_post_at", UtcDateTime),
    Column("reported_at", UtcDateTime, nullable=False),
)

# ------------------------------------------------------------------------------------------ people

KEYS = Table(
    "keys",
    METADATA,
    Column("id", SafeText, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("role", SafeText, nullable=False),
    Column("digest", SafeText, nullable=False, unique=True),
    Column("subjects", SafeJson),  # the only ones it may see; none: all
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

PASSES = Table(  # one-time links and the sessions of the console
    "passes",
    METADATA,
    Column("digest", SafeText, primary_key=True),
    Column("purpose", SafeText, nullable=False),  # link, session
    Column("name", SafeText, nullable=False),
    Column("role", SafeText, nullable=False),
    Column("key", SafeText, ForeignKey("keys.id")),  # a session ends with the key it came from
    Column("subjects", SafeJson),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)

ANSWERS = Table(  # what was answered under an Idempotency-Key
    "answers",
    METADATA,
    Column("scope", SafeText, primary_key=True),
    Column("request", SafeText, nullable=False),
    Column("status", Integer),  # none while the first request is still under way
    Column("body", SafeText),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

AUDIT = Table(  # what people did: never changed, never deleted
    "audit",
    METADATA,
    Column("id", SafeText, primary_key=True),  # a ULID
    Column("at", UtcDateTime, nullable=False),
    Column("who", SafeText, nullable=False),
    Column("via", SafeText, nullable=False),  # through which surface, and from where
    Column("what", SafeText, nullable=False),
    Column("target", SafeText, nullable=False),
    Column("subject", SafeText),  # whose it is, where it is about one
    Column("detail", SafeJson, nullable=False),
    Index(None, "at", "id"),
    Index(None, "target"),
)

SILENCES = Table(
    "silences",
    METADATA,
    Column("id", SafeText, primary_key=True),  # a ULID
    Column("subject", SafeText),  # none: everybody
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("severity", Integer),  # from this one on it pages all the same
    Column("reason", SafeText, nullable=False),
    Column("created_by", SafeText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "ends_at"),
)

FACTS = Table(  # what is true of this installation
    "facts",
    METADATA,
    Column("name", SafeText, primary_key=True),
    Column("value", SafeText, nullable=False),
)
