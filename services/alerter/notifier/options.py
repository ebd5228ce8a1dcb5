"""Options: what a ``[[receiver]]`` table may say. Each notifier adds its own fields in its file."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from services.alerter.settings import ReceiverTable
from services.process import MAX_SECRET_BYTES, read_text
from uproar.errors import Misconfigured
from uproar.notice import Language

O = TypeVar("O", bound="ReceiverOptions")  # noqa: E741
_FILE: Final = "_file"


class ReceiverOptions(BaseModel):
    """What every receiver may say beside its name and type."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    language: Language | None = None
    canary: bool = False


def read_options(options: type[O], table: ReceiverTable) -> O:
    """
    Read the options of one receiver; a secret ``x`` may stand in the file that ``x_file`` names.

    Raises:
        Misconfigured: One line for each option that is wrong; never its value.
    """
    try:
        return options.model_validate(_with_files(options, table))
    except ValidationError as error:
        lines = [
            f"receiver {table.name!r}: " + ": ".join(filter(None, [*map(str, e["loc"]), e["msg"]]))
            for e in error.errors(include_input=False, include_url=False)
        ]
        raise Misconfigured("\n".join(lines)) from None  # the cause would show the value


def _with_files(options: type[ReceiverOptions], table: ReceiverTable) -> Mapping[str, Any]:
    given = dict(table.options)
    for field, info in options.model_fields.items():
        if SecretStr not in {info.annotation, *get_args(info.annotation)}:
            continue
        path = given.pop(field + _FILE, None)
        if path is None:
            continue
        if field in given:
            raise Misconfigured(
                f"receiver {table.name!r}: give {field} or {field}{_FILE}, not both"
            )
        try:
            given[field] = read_text(Path(str(path)), most=MAX_SECRET_BYTES).strip()
        except Misconfigured as error:
            raise Misconfigured(f"receiver {table.name!r}: {field}{_FILE}: {error}") from error
    return given


def web_address(url: str, *, plain: bool = False) -> str:
    """
    Check an address that secrets are sent to: https, or http on this machine (a stand-in).

    Args:
        url: The address.
        plain: Whether http is fine anywhere.

    Raises:
        ValueError: What is wrong with it; without the address, which may be a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no web address") from None
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ValueError("is no web address: write https://...")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password")
    if parts.scheme == "http" and not plain and not is_here(host):
        raise ValueError("must be https: http is taken for this machine only")
    return url.rstrip("/")


def is_here(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
