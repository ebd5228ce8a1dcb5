"""Outbox: who stands by, what went out in one message, how far a receiver's rate is spent."""

import sqlalchemy as sa
from alembic import op

from services.alerter.store import columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_column("lease_until")
        batch_op.add_column(sa.Column("leased_at", columns.UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("standby", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("bundle", columns.SafeText(), nullable=True))
        batch_op.create_index(batch_op.f("ix_deliveries_bundle"), ["bundle"], unique=False)

    with op.batch_alter_table("receivers", schema=None) as batch_op:
        batch_op.alter_column("next_at", existing_type=columns.UtcDateTime(), nullable=True)
        batch_op.add_column(sa.Column("spent_until", columns.UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM receivers WHERE next_at IS NULL")
    with op.batch_alter_table("receivers", schema=None) as batch_op:
        batch_op.drop_column("spent_until")
        batch_op.alter_column("next_at", existing_type=columns.UtcDateTime(), nullable=False)

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deliveries_bundle"))
        batch_op.drop_column("bundle")
        batch_op.drop_column("standby")
        batch_op.drop_column("leased_at")
        batch_op.add_column(sa.Column("lease_until", columns.UtcDateTime(), nullable=True))
