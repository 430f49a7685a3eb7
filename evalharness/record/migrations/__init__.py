"""The registry's schema, step by step (Alembic). `python -m alembic` is not needed: opening a registry upgrades it."""
