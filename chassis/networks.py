"""Networks: which addresses count as one client where something is limited by address."""

from ipaddress import IPv6Address, ip_address

LOCAL = "local"  # the host itself, which is not limited by address


def network_of(address):
    """Return the network of an address: `203.0.113.7`, `2001:db8:1:2::/64`, or LOCAL.

    An IPv6 user controls 2^64 addresses, so the /64 prefix counts as one client. LOCAL are the
    loopback addresses, and what is no IP address, as a unix socket.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return LOCAL
    found = getattr(found, "ipv4_mapped", None) or found
    if found.is_loopback:
        return LOCAL
    if isinstance(found, IPv6Address):
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
