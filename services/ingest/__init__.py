"""Ingest: posts in, over HTTP; what concerns a subject goes on to the topic, once."""
