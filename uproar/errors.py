"""
The errors of the library: one exception for each decision that the caller must take.

::

    UproarError
    ├── Malformed      bad input: give the reason back, or put it into the dead letters, and go on
    ├── Unavailable    the world is down: wait and try the very same again
    └── Misconfigured  a person must mend settings, topics or a watch list: stop and say how

Anything else that is raised is a bug of ours: the process ends loudly, its offset uncommitted.
"""


class UproarError(Exception):
    """What all errors of uproar have in common."""


class Malformed(UproarError):
    """The input can never be processed; its text is the reason, fit to be shown to its sender."""


class Unavailable(UproarError):
    """Something outside (broker, database, model file, network) does not answer now but may later."""


class Misconfigured(UproarError):
    """Settings, topics or a watch list are wrong; the text says what is wrong and how to mend it."""
