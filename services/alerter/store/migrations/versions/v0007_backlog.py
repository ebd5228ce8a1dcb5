"""Backlog: it is counted in an index alone, for the rows hold whole messages."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_deliveries_state_created_at", table_name="deliveries")
    op.create_index(
        "ix_deliveries_backlog",
        "deliveries",
        ["state", "receiver", "created_at", "kind", "standby", "attempt"],
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_backlog", table_name="deliveries")
    op.create_index("ix_deliveries_state_created_at", "deliveries", ["state", "created_at"])
