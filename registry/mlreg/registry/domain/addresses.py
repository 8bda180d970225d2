"""Which network addresses a server of ours may call on somebody's word: public ones.

What always holds: an address is judged as the number that it is, so that no other spelling of a
private one passes (`::ffff:127.0.0.1`, `64:ff9b::7f00:1`, a 6to4 or Teredo tunnel to it), and the
public ones at which a cloud answers only those inside are not public here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
_NATIVE = IPv6Network("2000::/3")  # all of IPv6 that is handed out to anybody
# Special by IANA's registries or a cloud's word, and global to some version of Python:
_INSIDE = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's own
            "192.0.0.0/24",  # IETF's, and Oracle's 192.0.0.192
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
Address = IPv4Address | IPv6Address


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet: not this machine, network or cloud."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(one) for one in (address, *_within(address)))


def is_loopback(text: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_for_nobody(text: str) -> bool:
    """Whether no call goes here even inside: link-local (a cloud's secrets), multicast, or none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return True
    found = (address, *_within(address))
    return any(one.is_link_local or one.is_multicast or one.is_unspecified for one in found)


def _is_public(address: Address) -> bool:
    inside = any(address in network for network in _INSIDE if network.version == address.version)
    foreign = isinstance(address, IPv6Address) and address not in _NATIVE
    return address.is_global and not (inside or foreign or address.is_multicast)


def _within(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
