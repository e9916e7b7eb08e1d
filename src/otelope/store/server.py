"""Which ClickHouse server, and as whom: read from a URL, changed by options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from otelope.store.errors import CannotOpenError


_PORTS = {"http": 8123, "https": 8443}
_EXAMPLE = "http://user:password@host:8123/database"


class Host(NamedTuple):
    """One server; of several, all have the same tables."""

    name: str
    port: int


@dataclass(frozen=True)
class Server:
    """
    A ClickHouse server's HTTP interface, or those of a cluster.

    Args:
        hosts: Tried in this order; the one that answers is kept.
        secure: Whether to speak TLS.
        ca_file: Certificates to trust besides the machine's own, PEM.
        cert_file, key_file: Who we are to a server that wants to know, PEM.
        timeout: Seconds for a question; an insert may take as long.
    """

    hosts: tuple[Host, ...]
    secure: bool = False
    user: str = ""
    password: str = ""
    database: str = "otelope"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout: float = 30.0

    def __repr__(self) -> str:
        """Without the password."""
        return f"Server({self.where})"

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self.secure else "http"

    @property
    def where(self) -> str:
        """The address, without user and password."""
        hosts = ",".join(f"{_bracketed(host.name)}:{host.port}" for host in self.hosts)
        return f"{self.scheme}://{hosts}/{self.database}"

    def url(self, host: Host) -> str:
        """The address of one of the hosts."""
        return f"{self.scheme}://{_bracketed(host.name)}:{host.port}/"

    @classmethod
    def from_url(cls, url: str, **defaults: Any) -> Server:
        """
        Read ``http[s]://[user:password@]host[:port][,host…][/database][?ca_file=…&timeout=…]``.

        Args:
            url: As above.
            defaults: Fields for what the URL does not say.

        Raises:
            CannotOpenError: It is none; the message shows one.
        """
        try:
            return cls._from(urlsplit(url), defaults)
        except ValueError as error:
            # Not the URL itself: a password may stand in it.
            raise CannotOpenError(
                f"The ClickHouse server's address is wrong ({error}): write {_EXAMPLE}."
            ) from None

    @classmethod
    def _from(cls, parts: SplitResult, defaults: Mapping[str, Any]) -> Server:
        if parts.scheme not in _PORTS:
            raise ValueError(f"it begins with {parts.scheme or 'no scheme'!r}, not http or https")
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        said = {
            "user": unquote(user),
            "password": unquote(password),
            "database": unquote(parts.path.strip("/")),
        }
        options = {**defaults, **{name: text for name, text in said.items() if text}}
        known = {field.name for field in fields(cls)} - {"hosts", "secure"}
        for name, value in parse_qsl(parts.query):
            if name not in known:
                raise ValueError(f"there is no option {name!r}")
            options[name] = float(value) if name == "timeout" else value
        return cls(
            tuple(_host(part, _PORTS[parts.scheme]) for part in hosts.split(",")),
            secure=parts.scheme == "https",
            **options,
        )


def _host(text: str, default: int) -> Host:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return Host(parts.hostname, default if parts.port is None else parts.port)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
