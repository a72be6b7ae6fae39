import pytest

from chassis.networks import LOCAL, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", LOCAL),
        ("127.9.9.9", LOCAL),
        ("::1", LOCAL),
        ("unix:", LOCAL),
        ("", LOCAL),
    ],
)
def test_clients_are_told_apart_by_network(address, network):
    assert network_of(address) == network
