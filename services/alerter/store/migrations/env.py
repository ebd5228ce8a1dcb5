"""Env: what alembic runs; the connection comes from migrate.py, already in a transaction."""

from alembic import context

from services.alerter.store.migrate import OPTIONS

context.configure(connection=context.config.attributes["connection"], **OPTIONS)
context.run_migrations()
