"""The contract for everybody else: topics.yaml, JSON Schemas and examples, read as package data."""
