"""The processes: they move values in and out of the library."""
