"""Answers: what a person said to `uproar init`, and the draft that grows from it."""

import re
from dataclasses import dataclass, field
from typing import Any

import click

from uproar.errors import Malformed

_HIDDEN = {
    "token",
    "routing_key",
    "signing_secret",
    "app_token",
    "webhook_secret",
    "password",
}


@dataclass(slots=True, kw_only=True)
class Answers:
    """What was said, by options or by a person; None was not said."""

    name: str | None = None
    kind: str | None = None
    purpose: str | None = None
    aliases: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    own_accounts: tuple[str, ...] = ()
    languages: str | None = None
    receiver: str | None = None
    url: str | None = None
    token: str | None = None
    channel: str | None = None
    routing_key: str | None = None
    signing_secret: str | None = None
    app_token: str | None = None
    webhook_secret: str | None = None
    server: str | None = None
    sender: str | None = None
    to: str | None = None
    username: str | None = None
    password: str | None = None
    secret: str | None = None
    yes: bool = False

    def ask(self, field_name: str, question: str, default: str | None = None) -> str:
        """
        Return an answer; ask for it if nothing was said and there is somebody to ask.

        Raises:
            Malformed: It is needed, and nobody can be asked.
        """
        answer: str | None = getattr(self, field_name)
        if answer is None:
            if self.yes:
                answer = default
            else:
                hidden = field_name in _HIDDEN
                answer = click.prompt(question, default=default, hide_input=hidden, err=True)
        if answer is None:
            raise Malformed(f"--{field_name.replace('_', '-')} is needed: {question}")
        answer = answer.strip()
        setattr(self, field_name, answer)
        return answer


@dataclass(slots=True)
class Draft:
    """The tables of uproar.toml, and the secrets that go into files of their own."""

    subject: dict[str, Any] = field(default_factory=dict)
    receiver: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def parts(line: str) -> list[str]:
    """Split a line at commas and blanks."""
    return [part for part in re.split(r"[,\s]+", line) if part]
