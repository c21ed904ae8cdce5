"""What a reverse proxy says of the request that it hands on, believed of those proxies alone that are trusted.

`X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are read; `Forwarded` only where none of these is there, since most
proxies write the former and hand on the latter as the client wrote it.

Each proxy appends what it saw. So the lists are read from their ends: the last entry is the peer's word, the one before
it is believed if the last address is that of a trusted proxy too, and so on. What a client has written itself stands
before these and is never reached.

Source: https://www.rfc-editor.org/rfc/rfc7239
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers

from leni.errors import SpecError
from search.service.hosts import address_of, parse_host

__all__ = ["UNIX", "Proxies", "Seen", "clean_prefix"]

UNIX = "unix"
_PREFIX = re.compile(r"(/[A-Za-z0-9_~+:@=-][A-Za-z0-9._~+:@=-]*)+")
_PAIR = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";,]*))\s*(;|,|$)")


@dataclass(frozen=True)
class Seen:
    """What the outermost trusted proxy saw.

    Attributes:
        client: address of who asked it; None where no proxy says so.
        scheme: http or https; None as above.
        host: that was asked for, as a Host header has it; None as above.
        prefix: path below which the service is reached; None as above.
    """

    client: str | None = None
    scheme: str | None = None
    host: str | None = None
    prefix: str | None = None


class Proxies:
    """The proxies that are trusted.

    Args:
        names: addresses and networks, `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`; `unix` for who connects through the socket.

    Raises:
        SpecError: a name is none of these.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self.unix = UNIX in names
        self.networks = tuple(_network(name) for name in names if name != UNIX)

    def trusts(self, peer: str | None) -> bool:
        """Whether a peer is one of them.

        Args:
            peer: its address; None where it has connected through a unix socket.
        """
        if peer is None:
            return self.unix
        address = address_of(peer)
        return address is not None and any(address in network for network in self.networks)

    def seen(self, headers: Headers, peer: str | None) -> Seen:
        """What is to be believed of a request.

        Args:
            headers: of the request.
            peer: address of who has connected; None for a unix socket.
        """
        if not self.trusts(peer):
            return Seen()
        names = ("for", "proto", "host")
        given = {name: _listed(headers, f"x-forwarded-{name}") for name in names}
        if any(given.values()):
            hops = self._hops(given["for"])
            said = {name: entries[-min(hops, len(entries))] for name, entries in given.items() if entries}
        else:
            elements = _elements(headers)
            hops = self._hops([element.get("for", "") for element in elements])
            said = elements[-min(hops, len(elements))] if elements else {}
        return Seen(
            client=_node(said.get("for", "")),
            scheme={"http": "http", "https": "https", "ws": "http", "wss": "https"}.get(said.get("proto", "").lower()),
            host=said["host"] if parse_host(said.get("host", "")) else None,
            prefix=_prefix(headers),
        )

    def _hops(self, clients: list[str]) -> int:
        """How many entries from the end are the word of a trusted proxy, at least one: the peer's own."""
        hops = 1
        for text in reversed(clients[1:]):
            address = _node(text)
            if address is None or not self.trusts(address):
                break
            hops += 1
        return hops


def clean_prefix(text: str) -> str | None:
    """A path prefix without its last slash; "" for none, None where it is no plain path.

    What would be read as another host (`//host`), leaves the prefix (`..`) or needs quoting is no prefix.
    """
    text = text.rstrip("/")
    if not text:
        return ""
    return text if len(text) <= 200 and _PREFIX.fullmatch(text) else None


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        raise SpecError(
            f"--trusted-proxy must be an address, a network such as 10.0.0.0/8, or {UNIX}, got {name!r}"
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        return ipaddress.ip_network(f"{mapped}/{max(0, network.prefixlen - 96)}", strict=False)
    return network


def _listed(headers: Headers, name: str) -> list[str]:
    """The entries of a header that lists them, over all of its lines."""
    return [entry.strip() for line in headers.getlist(name) for entry in line.split(",") if entry.strip()]


def _prefix(headers: Headers) -> str | None:
    """The prefix: each proxy on the way adds its own behind the one before it."""
    entries = [clean_prefix(entry) for entry in _listed(headers, "x-forwarded-prefix")]
    if not entries or None in entries:
        return None
    return clean_prefix("".join(entry or "" for entry in entries))


def _elements(headers: Headers) -> list[dict[str, str]]:
    """The elements of `Forwarded`, a mapping for each proxy; none where it is not well formed."""
    text = ",".join(headers.getlist("forwarded"))
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            return []
        name, quoted, plain, after = found.groups()
        elements[-1][name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = found.end()
        if after == ",":
            elements.append({})
    return elements if text and all(elements) else []


def _node(text: str) -> str | None:
    """The address in an entry, with or without a port; None for `unknown`, a hidden name, anything else."""
    text = text.strip().strip('"')
    address = address_of(text)
    if address is None and (host := parse_host(text)):
        address = address_of(host.name)
    return None if address is None else str(address)
