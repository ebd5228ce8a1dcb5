"""Lifecycle: episodes, acts, versions, silences, the audit, search; nothing old is taken away."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.alerter.store import columns, search

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_incidents_listed": ("incidents", ["opened_at", "id", "severity"]),
    "ix_incidents_by_state": ("incidents", ["state", "opened_at", "id", "severity"]),
    "ix_incidents_by_subject": ("incidents", ["subject", "state", "opened_at", "id", "severity"]),
    "ix_incidents_by_severity": ("incidents", ["severity", "opened_at", "id"]),
    "ix_incidents_snoozed_until": ("incidents", ["snoozed_until"]),
    "ix_incidents_merged_into": ("incidents", ["merged_into"]),
    "ix_incidents_hushed": ("incidents", ["hushed"]),
    "ix_transitions_listed": (
        "transitions",
        ["opened_at", "incident", "at", "until", "after", "severity"],
    ),
    "ix_transitions_by_subject": (
        "transitions",
        ["subject", "opened_at", "incident", "at", "until", "after"],
    ),
    "ix_transitions_standing": (
        "transitions",
        ["after", "span", "at", "until", "opened_at", "incident"],
    ),
}

_WITHOUT_CANARIES = {"ix_incidents_listed", "ix_incidents_by_state", "ix_incidents_by_severity"}

_REPLACED = {  # each is the beginning of a new one
    "ix_incidents_opened_at_id": ("incidents", ["opened_at", "id"]),
    "ix_incidents_state": ("incidents", ["state"]),
    "ix_incidents_subject_opened_at": ("incidents", ["subject", "opened_at"]),
}

_LONGEST = 24  # 2 ** 24 minutes: 32 years, which is never too short

_FILL = (
    "UPDATE incidents SET began_at = opened_at",
    """
    INSERT INTO episodes
        (id, incident, number, subject, level, severity, posts, authors, title, began_at, happened_at)
    SELECT id, id, 1, subject, level, severity, posts, authors, title, opened_at, happened_at
    FROM incidents
    """,
    f"""
    UPDATE transitions SET
        subject = (SELECT subject FROM incidents WHERE incidents.id = transitions.incident),
        opened_at = (
            SELECT opened_at FROM incidents
            WHERE incidents.id = transitions.incident AND kind != 'canary'
        ),
        span = {_LONGEST},
        until = (
            SELECT later.at FROM transitions AS later
            WHERE later.incident = transitions.incident
            AND later.sequence = transitions.sequence + 1
        ),
        position = (
            SELECT place FROM (
                SELECT incident, sequence,
                    row_number() OVER (ORDER BY at, incident, sequence) AS place
                FROM transitions
            ) AS placed
            WHERE placed.incident = transitions.incident AND placed.sequence = transitions.sequence
        )
    """,
    "UPDATE transitions SET span = NULL WHERE until IS NULL",
    """
    UPDATE evidence SET cited_at = (
        SELECT at FROM transitions
        WHERE transitions.incident = evidence.incident AND transitions.sequence = evidence.sequence
    )
    """,
)


def _added() -> dict[str, list[sa.Column[Any]]]:
    return {
        "incidents": [
            sa.Column("began_at", columns.UtcDateTime(), nullable=True),
            sa.Column("assignee", columns.SafeText(), nullable=True),
            sa.Column("snoozed_until", columns.UtcDateTime(), nullable=True),
            sa.Column("put_away_posts", sa.Integer(), nullable=True),
            sa.Column("rated", sa.Integer(), nullable=True),
            sa.Column("verdict", columns.SafeText(), nullable=True),
            sa.Column("verdict_reason", columns.SafeText(), nullable=True),
            sa.Column("verdict_by", columns.SafeText(), nullable=True),
            sa.Column("verdict_at", columns.UtcDateTime(), nullable=True),
            sa.Column("merged_into", columns.SafeText(), nullable=True),
            sa.Column("merged_from", columns.SafeText(), nullable=True),
            sa.Column("hushed", columns.SafeText(), nullable=True),
        ],
        "transitions": [
            sa.Column("via", columns.SafeText(), nullable=True),
            sa.Column("episode", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("other", columns.SafeText(), nullable=True),
            sa.Column("position", sa.BigInteger(), nullable=True),
            sa.Column("until", columns.UtcDateTime(), nullable=True),
            sa.Column("span", sa.Integer(), nullable=True),
            sa.Column("subject", columns.SafeText(), nullable=True),
            sa.Column("opened_at", columns.UtcDateTime(), nullable=True),
            sa.Column("standing", columns.SafeJson(), nullable=True),
        ],
        "evidence": [sa.Column("cited_at", columns.UtcDateTime(), nullable=True)],
        "keys": [sa.Column("subjects", columns.SafeJson(), nullable=True)],
        "passes": [sa.Column("subjects", columns.SafeJson(), nullable=True)],
    }


def upgrade() -> None:
    for table, added in _added().items():
        for column in added:
            op.add_column(table, column)
    _create_tables()
    for statement in _FILL:
        op.execute(statement)
    for name, (table, indexed) in _INDEXES.items():
        real = sa.text("kind != 'canary'") if name in _WITHOUT_CANARIES else None
        op.create_index(name, table, indexed, sqlite_where=real, postgresql_where=real)
    op.create_index("ix_transitions_position", "transitions", ["position"], unique=True)
    for name, (table, _) in _REPLACED.items():
        op.drop_index(name, table_name=table)
    search.create(op.get_bind())
    search.fill(op.get_bind())


def downgrade() -> None:
    search.drop(op.get_bind())
    for name, (table, indexed) in _REPLACED.items():
        op.create_index(name, table, indexed)
    op.drop_index("ix_transitions_position", table_name="transitions")
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table_name=table)
    for table in ("silences", "audit", "episodes"):
        op.drop_table(table)
    for table, added in _added().items():
        with op.batch_alter_table(table) as batch_op:
            for column in added:
                batch_op.drop_column(column.name)


def _create_tables() -> None:
    op.create_table(
        "episodes",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("incident", columns.SafeText(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject", columns.SafeText(), nullable=False),
        sa.Column("level", columns.SafeText(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("title", columns.SafeText(), nullable=False),
        sa.Column("began_at", columns.UtcDateTime(), nullable=False),
        sa.Column("happened_at", columns.UtcDateTime(), nullable=False),
        sa.Column("verdict", columns.SafeText(), nullable=True),
        sa.Column("verdict_reason", columns.SafeText(), nullable=True),
        sa.Column("verdict_by", columns.SafeText(), nullable=True),
        sa.Column("verdict_at", columns.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name="fk_episodes_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_episodes"),
    )
    op.create_index("ix_episodes_incident_number", "episodes", ["incident", "number"])
    op.create_index("ix_episodes_subject_began_at", "episodes", ["subject", "began_at"])
    op.create_index("ix_episodes_verdict", "episodes", ["verdict"])
    op.create_table(
        "audit",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("at", columns.UtcDateTime(), nullable=False),
        sa.Column("who", columns.SafeText(), nullable=False),
        sa.Column("via", columns.SafeText(), nullable=False),
        sa.Column("what", columns.SafeText(), nullable=False),
        sa.Column("target", columns.SafeText(), nullable=False),
        sa.Column("subject", columns.SafeText(), nullable=True),
        sa.Column("detail", columns.SafeJson(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at_id", "audit", ["at", "id"])
    op.create_index("ix_audit_target", "audit", ["target"])
    op.create_table(
        "silences",
        sa.Column("id", columns.SafeText(), nullable=False),
        sa.Column("subject", columns.SafeText(), nullable=True),
        sa.Column("starts_at", columns.UtcDateTime(), nullable=False),
        sa.Column("ends_at", columns.UtcDateTime(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=True),
        sa.Column("reason", columns.SafeText(), nullable=False),
        sa.Column("created_by", columns.SafeText(), nullable=False),
        sa.Column("created_at", columns.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
