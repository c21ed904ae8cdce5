"""Host names as a request or an option writes them: without case, port, trailing dot, or the many ways of an address.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-7.2 (Host), https://www.rfc-editor.org/rfc/rfc3986#section-3.2
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = ["HostPort", "address_of", "parse_host"]

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class HostPort:
    """A host and, where one was written, its port.

    Attributes:
        name: in lower case, without brackets and without a trailing dot; an address in its shortest form.
        port: 0 to 65535; None where none was written.
    """

    name: str
    port: int | None = None

    def port_for(self, scheme: str) -> int:
        """The port that is meant, where none is written that of the scheme."""
        return self.port if self.port is not None else {"https": 443}.get(scheme, 80)


def parse_host(text: str) -> HostPort | None:
    """A host as it is written in a Host header, a URL or an option.

    Args:
        text: `name`, `name:port`, `[address]:port`.

    Returns:
        The host; None where the text is no host at all.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and port > 65535:
        return None
    written = found["v6"] or found["name"]
    address = address_of(written)
    if found["v6"] and address is None:
        return None
    name = str(address) if address else written.lower().removesuffix(".")
    return HostPort(name, port) if name else None


def address_of(text: str) -> Address | None:
    """An IP address without its zone (`%eth0`); one that holds an IPv4 address (`::ffff:10.0.0.1`) is that. Or None."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
