"""Reasons: what makes a reading's statistic computable again; nothing old is taken away."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("readings", sa.Column("heard", sa.Float))
    op.add_column("readings", sa.Column("certainty", sa.Float))
    op.add_column("readings", sa.Column("slow", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("readings", sa.Column("rules", sa.Text))


def downgrade() -> None:
    for name in ("rules", "slow", "certainty", "heard"):
        op.drop_column("readings", name)
