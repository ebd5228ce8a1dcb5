"""Migrations: how each schema becomes the next one. Old ones are never changed."""
