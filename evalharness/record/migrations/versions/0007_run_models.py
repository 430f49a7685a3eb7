"""The models of each run, so that the runs of one are found without a look at the figures of all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and fill it from the figures that are there."""
    op.create_table(
        "run_models",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_utc", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "model", name="pk_run_models"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_models_run_id", ondelete="CASCADE"),
    )
    op.execute(
        "INSERT INTO run_models (run_id, model, created_utc) "
        "SELECT DISTINCT results.run_id, results.model, runs.created_utc "
        "FROM results JOIN runs ON runs.id = results.run_id"
    )
    op.create_index("ix_run_models_model_created_utc_run_id", "run_models", ["model", "created_utc", "run_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_run_models_model_created_utc_run_id", "run_models")
    op.drop_table("run_models")
