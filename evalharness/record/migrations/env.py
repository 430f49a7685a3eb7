"""What Alembic runs: the steps go over the connection, and in the transaction, that `database.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from evalharness.record import alert_tables as _alert_tables  # noqa: F401  (its tables are METADATA's, too)
from evalharness.record import monitor_tables as _monitor_tables  # noqa: F401  (its tables are METADATA's, too)
from evalharness.record import user_tables as _user_tables  # noqa: F401  (its tables are METADATA's, too)
from evalharness.record.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes tables by copying them
)
context.run_migrations()
