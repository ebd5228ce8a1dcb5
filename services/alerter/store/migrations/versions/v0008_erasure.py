"""Erasure: networks outlive their posts, posts go by when they were cited, persons when unwatched."""

import sqlalchemy as sa
from alembic import op

from services.alerter.store import columns
from services.alerter.store.database import SQLITE

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NETWORK = {True: "substr(post, 1, instr(post, ':') - 1)", False: "split_part(post, ':', 1)"}
_SUBJECTS = sa.table(
    "subjects",
    sa.column("id", columns.SafeText()),
    sa.column("kind", columns.SafeText()),
    sa.column("value", columns.SafeJson()),
    sa.column("deleted_at", columns.UtcDateTime()),
)


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("name", columns.SafeText(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_networks")),
    )
    network = _NETWORK[op.get_bind().dialect.name == SQLITE]
    op.execute(f"INSERT INTO networks (name) SELECT DISTINCT {network} FROM evidence")  # noqa: S608
    op.create_index("ix_evidence_cited_at", "evidence", ["cited_at"])
    op.drop_index("ix_evidence_created_at", table_name="evidence")
    _forget_unwatched()


def _forget_unwatched() -> None:
    table = _SUBJECTS
    unwatched = sa.select(table.c.id).where(
        table.c.kind == "person", table.c.deleted_at.is_not(None)
    )
    for subject in op.get_bind().execute(unwatched).scalars().all():
        least = {"id": subject, "name": subject}
        op.execute(table.update().where(table.c.id == subject).values(value=least))


def downgrade() -> None:
    op.create_index("ix_evidence_created_at", "evidence", ["created_at"])
    op.drop_index("ix_evidence_cited_at", table_name="evidence")
    op.drop_table("networks")
