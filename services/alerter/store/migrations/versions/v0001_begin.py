"""Begin: every table of the first version."""

import sqlalchemy as sa
from alembic import op

from services.alerter.store import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("scope", columns.SafeText(), nullable=False),
        sa.Column("request", columns.SafeText(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", columns.SafeText(), nullable=True),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_answers")),
    )
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_created_at"), ["created_at"], unique=False)

    op.create_table(
        "deletions",
        sa.Column("what", columns.SafeText(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("received_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_deletions")),
    )
    op.create_table(
        "facts",
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.Column("value", columns.SafeText(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("subject", columns.SafeText(), nullable=False),
        sa.Column("subject_name", columns.SafeText(), nullable=False),
        sa.Column("kind", columns.SafeText(), nullable=False),
        sa.Column("state", columns.SafeText(), nullable=False),
        sa.Column("level", columns.SafeText(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("peak_severity", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("title", columns.SafeText(), nullable=False),
        sa.Column("why", columns.SafeJson(), nullable=False),
        sa.Column("opened_at", columns.UtcDateTime(), nullable=False),
        sa.Column("happened_at", columns.UtcDateTime(), nullable=False),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", columns.UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", columns.SafeText(), nullable=True),
        sa.Column("resolved_at", columns.UtcDateTime(), nullable=True),
        sa.Column("resolved_by", columns.SafeText(), nullable=True),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_incidents_opened_at_id"), ["opened_at", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_incidents_state"), ["state"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_incidents_subject_opened_at"), ["subject", "opened_at"], unique=False
        )

    op.create_table(
        "keys",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.Column("role", columns.SafeText(), nullable=False),
        sa.Column("digest", columns.SafeText(), nullable=False),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", columns.UtcDateTime(), nullable=True),
        sa.Column("last_used_at", columns.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
    )
    op.create_table(
        "readings",
        sa.Column("subject", columns.SafeText(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("decision", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("negative", sa.Float(), nullable=False),
        sa.Column("positive", sa.Float(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("unscored", sa.Integer(), nullable=False),
        sa.Column("baseline", sa.Float(), nullable=False),
        sa.Column("statistic", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("window_seconds", sa.Integer(), nullable=False),
        sa.Column("negative_share", sa.Float(), nullable=True),
        sa.Column("baseline_share", sa.Float(), nullable=True),
        sa.Column("gate", columns.SafeText(), nullable=False),
        sa.Column("received_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "at", "decision", name=op.f("pk_readings")),
    )
    with op.batch_alter_table("readings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_readings_received_at"), ["received_at"], unique=False)

    op.create_table(
        "receivers",
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.Column("next_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_receivers")),
    )
    op.create_table(
        "sources",
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.Column("state", columns.SafeText(), nullable=False),
        sa.Column("event_time", columns.UtcDateTime(), nullable=True),
        sa.Column("last_post_at", columns.UtcDateTime(), nullable=True),
        sa.Column("reported_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "subjects",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("kind", columns.SafeText(), nullable=False),
        sa.Column("value", columns.SafeJson(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("updated_at", columns.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", columns.UtcDateTime(), nullable=True),
        sa.Column("seed", columns.SafeText(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subjects")),
    )
    op.create_table(
        "backlash",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("incident", columns.SafeText(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("received_at", columns.UtcDateTime(), nullable=False),
        sa.Column("accepted_at", columns.UtcDateTime(), nullable=True),
        sa.Column("traceparent", columns.SafeText(), nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name=op.f("fk_backlash_incident")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backlash")),
    )
    with op.batch_alter_table("backlash", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backlash_incident"), ["incident"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("incident", columns.SafeText(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("receiver", columns.SafeText(), nullable=False),
        sa.Column("kind", columns.SafeText(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("payload", columns.SafeJson(), nullable=False),
        sa.Column("state", columns.SafeText(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_at", columns.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", columns.SafeText(), nullable=True),
        sa.Column("lease_until", columns.UtcDateTime(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.Column("provider_ref", columns.SafeText(), nullable=True),
        sa.Column("last_error", columns.SafeText(), nullable=True),
        sa.Column("deadline", columns.UtcDateTime(), nullable=True),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("delivered_at", columns.UtcDateTime(), nullable=True),
        sa.Column("accepted_at", columns.UtcDateTime(), nullable=True),
        sa.Column("traceparent", columns.SafeText(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident"], ["incidents.id"], name=op.f("fk_deliveries_incident")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "incident",
            "receiver",
            "sequence",
            name=op.f("uq_deliveries_incident_receiver_sequence"),
        ),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_deliveries_receiver_state_incident_sequence"),
            ["receiver", "state", "incident", "sequence"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_deliveries_state_created_at"), ["state", "created_at"], unique=False
        )

    op.create_table(
        "evidence",
        sa.Column("incident", columns.SafeText(), nullable=False),
        sa.Column("post", columns.SafeText(), nullable=False),
        sa.Column("text", columns.SafeText(), nullable=False),
        sa.Column("url", columns.SafeText(), nullable=True),
        sa.Column("author", columns.SafeText(), nullable=True),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("why", columns.SafeText(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name=op.f("fk_evidence_incident")),
        sa.PrimaryKeyConstraint("incident", "post", name=op.f("pk_evidence")),
    )
    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evidence_author"), ["author"], unique=False)
        batch_op.create_index(batch_op.f("ix_evidence_post"), ["post"], unique=False)

    op.create_table(
        "passes",
        sa.Column("digest", columns.SafeText(), nullable=False),
        sa.Column("purpose", columns.SafeText(), nullable=False),
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.Column("role", columns.SafeText(), nullable=False),
        sa.Column("key", columns.SafeText(), nullable=True),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.Column("expires_at", columns.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["keys.id"], name=op.f("fk_passes_key")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_passes")),
    )
    with op.batch_alter_table("passes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passes_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "transitions",
        sa.Column("incident", columns.SafeText(), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("happened", columns.SafeText(), nullable=False),
        sa.Column("before", columns.SafeText(), nullable=True),
        sa.Column("after", columns.SafeText(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("happened_at", columns.UtcDateTime(), nullable=True),
        sa.Column("by", columns.SafeText(), nullable=False),
        sa.Column("level", columns.SafeText(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("page", sa.Boolean(), nullable=False),
        sa.Column("backlash", columns.SafeText(), nullable=True),
        sa.Column("summary", columns.SafeText(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident"], ["incidents.id"], name=op.f("fk_transitions_incident")
        ),
        sa.PrimaryKeyConstraint("incident", "sequence", name=op.f("pk_transitions")),
    )


def downgrade() -> None:
    op.drop_table("transitions")
    with op.batch_alter_table("passes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passes_expires_at"))

    op.drop_table("passes")
    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evidence_post"))
        batch_op.drop_index(batch_op.f("ix_evidence_author"))

    op.drop_table("evidence")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deliveries_state_created_at"))
        batch_op.drop_index(batch_op.f("ix_deliveries_receiver_state_incident_sequence"))

    op.drop_table("deliveries")
    with op.batch_alter_table("backlash", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backlash_incident"))

    op.drop_table("backlash")
    op.drop_table("subjects")
    op.drop_table("sources")
    op.drop_table("receivers")
    with op.batch_alter_table("readings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_readings_received_at"))

    op.drop_table("readings")
    op.drop_table("keys")
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_incidents_subject_opened_at"))
        batch_op.drop_index(batch_op.f("ix_incidents_state"))
        batch_op.drop_index(batch_op.f("ix_incidents_opened_at_id"))

    op.drop_table("incidents")
    op.drop_table("facts")
    op.drop_table("deletions")
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_answers_created_at"))

    op.drop_table("answers")
