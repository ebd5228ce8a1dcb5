"""The HTTP side of ingest: may a request come in, what posts does it hold, what is it told."""
