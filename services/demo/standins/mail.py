"""A stand-in for a mail server: takes letters over SMTP, keeps them, and fails when it is told to."""

# ruff: noqa: ARG001, ARG002, N802 - aiosmtpd calls its handlers by name and with everything

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.demo.standins.faults import Fault, Troubles
from services.demo.standins.ledger import Ledger

USER: Final = "uproar"
PASSWORD: Final = "standin-mail-password"  # noqa: S105 - opens nothing
ADDRESS: Final = "duty@example.org"
MAX_LETTER: Final = 1_000_000
_LINE: Final = re.compile(rb"[^\r\n]{999,}")
_BEFORE: Final = {  # answered to MAIL FROM: nothing is taken
    Fault.RATE_LIMITED: "421 4.7.0 Too many messages, try again later",
    Fault.UNAVAILABLE: "421 4.3.2 Service not available",
    Fault.REDIRECT: "450 4.2.1 Try another server",
    Fault.BAD_REQUEST: "550 5.1.1 No such user",
    Fault.GONE: "521 5.3.2 This host takes no mail",
    Fault.UNAUTHORIZED: "530 5.7.0 Authentication required",
}
_AFTER: Final = {  # answered to the letter itself: nothing is taken
    Fault.OK_FALSE: "554 5.7.1 Message refused",
    Fault.SERVER_ERROR: "451 4.3.0 Local error in processing",
}
_CUT: Final = {Fault.DROPPED, Fault.SILENT}


@dataclass(slots=True)
class MailStandIn:
    """
    A mailbox that everybody may write to.

    Attributes:
        refused: Recipients whom it does not know.
        users: Whether it asks for a password.
        tls: Its certificate: it then offers STARTTLS, and asks for the password only behind it.
    """

    ledger: Ledger
    troubles: Troubles | None = None
    refused: set[str] = field(default_factory=set)
    users: bool = False
    tls: ssl.SSLContext | None = None
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Transport] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._server = await loop.create_server(self._session, sock=listener)

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server:
            self._server.close()
        for transport in list(self._open):
            transport.abort()

    def of(self, incident_title: str) -> list[EmailMessage]:
        """Return the letters whose subject holds a text."""
        return [letter for letter in self.letters if incident_title in str(letter["Subject"])]

    def _session(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.standin.example",
            data_size_limit=MAX_LETTER,
            tls_context=self.tls,
            auth_required=self.users,
            auth_require_tls=self.tls is not None,
            authenticator=_authenticate if self.users else None,
            enable_SMTPUTF8=False,
            loop=asyncio.get_running_loop(),
        )

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._fault(*_BEFORE, Fault.CUT)
        if fault is Fault.CUT:
            _abort(server)
            return "421 4.3.2 cut"
        if fault is not None:
            return _BEFORE[fault]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self._fault(*_AFTER, *_CUT, Fault.GARBLED)
        if fault in _AFTER:
            return _AFTER[fault]
        content = envelope.original_content or b""
        if _LINE.search(content):
            return "500 5.2.3 A line is longer than 998 characters"
        self._keep(content)
        if fault is Fault.GARBLED:
            return "hello"
        if fault is Fault.SILENT:
            await asyncio.sleep(120)
        if fault in _CUT:
            _abort(server)
        return "250 2.0.0 Taken"

    def _keep(self, content: bytes) -> None:
        letter: Any = message_from_bytes(content, policy=default)
        repeat = letter["Message-ID"] in {known["Message-ID"] for known in self.letters}
        self.letters.append(letter)
        root = str(letter["References"] or letter["Message-ID"]).split()[0]
        body = letter.get_body(("plain",))
        self.ledger.write(
            "email",
            "reply" if letter["References"] else "letter",
            text=str(letter["Subject"]),
            key=root,
            body={"plain": body.get_content() if body else ""},
            effect="dropped" if repeat else "new",  # by the mailbox, which knows the Message-ID
        )

    def _fault(self, *known: Fault) -> Fault | None:
        return self.troubles.next("/email", known) if self.troubles else None


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: Any
) -> AuthResult:
    fits = isinstance(auth_data, LoginPassword) and (
        auth_data.login == USER.encode() and auth_data.password == PASSWORD.encode()
    )
    return AuthResult(success=fits, handled=False)  # the server says no


def _abort(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
