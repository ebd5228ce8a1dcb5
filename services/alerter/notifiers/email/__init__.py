"""Email: one thread an incident, sent through any SMTP server. It asks nothing back."""

import base64
import contextlib
import ssl
from datetime import timedelta
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import aiosmtplib
import structlog
from pydantic import Field, SecretStr, field_validator, model_validator

from services.alerter.notifier import Delivery, Outcome, Pace, Refused, Retry, Sent, Unknown
from services.alerter.notifier.exchange import Surroundings
from services.alerter.notifier.options import ReceiverOptions, is_here
from services.alerter.notifiers.email.letter import write
from uproar.routing import ReceiverName

TIMEOUT_SECONDS: Final = 15.0
_GOODBYE_SECONDS: Final = 2.0
_AUTH_LATER: Final = {421, 454}

log = structlog.get_logger(room="alerter/email")


class Security(StrEnum):
    """How the connection is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class EmailOptions(ReceiverOptions):
    """
    ``server``, ``sender`` (``Name <address>``) and ``to`` (one address or several).

    ``security`` is starttls (port 587), tls (port 465) or none, which is taken for a server on this
    machine only. ``ca_file`` names the authority of a server whose certificate no public one signed.
    """

    server: str = Field(min_length=1, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Security = Security.STARTTLS
    username: str | None = None
    password: SecretStr | None = None
    sender: str
    to: tuple[str, ...] = Field(min_length=1, max_length=50)
    ca_file: Path | None = None

    @field_validator("to", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        return _checked(value)

    @field_validator("to")
    @classmethod
    def _to(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_checked, value))

    @field_validator("ca_file")
    @classmethod
    def _authority(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=value)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"cannot be used: {error}") from None
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password, or neither")
        if self.security is Security.NONE and not is_here(self.server):
            raise ValueError("security = none is taken for a server on this machine only")
        return self


class Email:
    """
    Writes a letter for each notice; those of one incident are one thread.

    A mail server drops no repeat, but the Message-ID stays the same, by which many mailboxes do.
    After a lost answer the letter says that it may be one.
    """

    type: Final = "email"
    options: Final = EmailOptions
    pages_only: Final = False
    # Mail servers count by the hour and differ; nobody reads more than a letter a few seconds.
    pace: Final = Pace(every=timedelta(seconds=5), burst=20, bundle=100)

    def __init__(
        self, name: ReceiverName, options: EmailOptions, surroundings: Surroundings
    ) -> None:
        self.name = name
        self._options, self._surroundings = options, surroundings
        self._tls = ssl.create_default_context(cafile=options.ca_file)
        self._to = [parseaddr(address)[1] for address in options.to]
        self._sender = parseaddr(options.sender)[1]

    async def notify(self, delivery: Delivery) -> Outcome:
        """See :class:`services.alerter.notifier.Notifier`."""
        options, now = self._options, self._surroundings.clock()
        letter, thread = write(delivery, sender=options.sender, to=options.to, now=now)
        return await self._send(letter.as_bytes(), str(thread))

    async def check(self) -> Outcome:
        """Go as far as naming sender and recipients, then take it back: nothing is written."""
        return await self._send(None, None)

    async def _send(self, content: bytes | None, ref: str | None) -> Outcome:
        client = self._client()
        try:
            if problem := await self._introduce(client) or await self._address(client):
                return problem
            if content is None:
                await client.rset()
                return Sent()
            outcome = await self._hand_over(client, content) or Sent(ref)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=_GOODBYE_SECONDS)
            return outcome
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return Retry(f"the mail server cannot be reached ({type(error).__name__})")
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        options, security = self._options, self._options.security
        standard = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}[security]
        return aiosmtplib.SMTP(
            hostname=options.server,
            port=options.port or standard,
            timeout=TIMEOUT_SECONDS,
            use_tls=security is Security.TLS,
            start_tls=security is Security.STARTTLS,
            tls_context=None if security is Security.NONE else self._tls,
        )

    async def _introduce(self, client: aiosmtplib.SMTP) -> Outcome | None:
        """Connect and log in; nothing has left us if this fails."""
        options = self._options
        try:
            await client.connect()
            if options.username and options.password:
                await client.login(options.username, options.password.get_secret_value())
        except aiosmtplib.SMTPAuthenticationError as error:
            said = f"the mail server refuses our user (code {error.code})"
            return Retry(said) if error.code in _AUTH_LATER else Refused(said)
        except aiosmtplib.SMTPResponseException as error:
            return self._answered(error)
        except aiosmtplib.SMTPNotSupported:
            return Refused("the mail server offers no login, or no TLS, and we insist on both")
        except ssl.SSLError:
            return Refused("the mail server's certificate is not trusted: see ca_file")
        return None

    async def _address(self, client: aiosmtplib.SMTP) -> Outcome | None:
        """Name sender and recipients; one whom the server takes is enough."""
        try:
            await client.mail(self._sender)
        except aiosmtplib.SMTPResponseException as error:
            return self._answered(error)
        refusals = []
        for address in self._to:
            try:
                await client.rcpt(address)
            except aiosmtplib.SMTPResponseException as error:
                refusals.append(self._answered(error))
        if refusals and len(refusals) == len(self._to):
            later = [refusal for refusal in refusals if isinstance(refusal, Retry)]
            return (later or refusals)[0]
        if refusals:
            log.warning("recipients refused", receiver=self.name, count=len(refusals))
        return None

    async def _hand_over(self, client: aiosmtplib.SMTP, content: bytes) -> Outcome | None:
        """Send the letter; from here on a lost answer may hide an arrival."""
        try:
            answer = await client.data(content)
        except aiosmtplib.SMTPResponseException as error:
            if 400 <= error.code < 600:
                return self._answered(error)
            return Unknown("the mail server gave an answer that is none")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Unknown(f"the mail server's answer was lost ({type(error).__name__})")
        return None if answer.code == 250 else Unknown(f"the mail server answered {answer.code}")

    def _answered(self, error: aiosmtplib.SMTPResponseException) -> Outcome:
        """Judge a refusal: 4xx means later, 5xx never."""
        said = " ".join("".join(c if c.isprintable() else " " for c in error.message).split())
        if password := self._options.password:
            secret = password.get_secret_value()
            for shown in (secret, base64.b64encode(secret.encode()).decode()):
                said = said.replace(shown, "[secret]")
        reason = f"the mail server: {error.code} {said[:200]}".rstrip()
        return Refused(reason) if 500 <= error.code < 600 else Retry(reason)


def _checked(value: str) -> str:
    """Take an address that stands in a header as it is; raises ValueError."""
    address = parseaddr(value)[1]
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or not value.isprintable() or not address.isascii():
        raise ValueError("is no e-mail address: write name@example.org or Name <name@example.org>")
    if any(c in address for c in " \t,;<>()"):
        raise ValueError("is no e-mail address: write name@example.org or Name <name@example.org>")
    return value
