"""Which addresses our server calls on somebody's word."""

from __future__ import annotations

import pytest

from mlreg.registry.domain.addresses import is_loopback, is_public
from mlreg.registry.services.outgoing import ForbiddenDestinationError, check_destination


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.4", "2606:4700::1111"])
def test_the_internet_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "not an address",
        "2130706433",
    ],
)
def test_this_machine_network_and_cloud_are_not(address):
    assert not is_public(address)


def test_loopback():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")


def resolver(*addresses):
    return lambda _host, _port: list(addresses)


@pytest.mark.parametrize(
    ("url", "addresses", "private"),
    [
        ("http://example.com/", ["8.8.8.8"], False),
        ("http://example.com/", ["8.8.8.8"], True),
        ("http://ci.corp/", ["10.0.0.1"], True),
        ("https://ci.corp/", ["10.0.0.1"], False),
        ("https://both.example/", ["8.8.8.8", "127.0.0.1"], False),
        ("https://user:word@example.com/", ["8.8.8.8"], False),
        ("ftp://example.com/", ["8.8.8.8"], True),
        ("https://", [], True),
        ("https://[::1", ["::1"], True),
        ("https://nowhere.example/", [], False),
    ],
)
def test_a_destination_that_is_not_called(url, addresses, private):
    with pytest.raises(ForbiddenDestinationError):
        check_destination(url, private=private, resolved=resolver(*addresses))


def test_a_destination_is_the_address_that_was_checked():
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    to = check_destination("https://a.example/x?y=1", resolved=lambda _h, _p: next(answers))
    assert (to.host, to.address, to.target) == ("a.example", "8.8.8.8", "/x?y=1")


def test_an_operator_may_allow_the_private_network():
    assert check_destination("https://ci.corp/", private=True, resolved=resolver("10.0.0.1"))
    assert check_destination("http://localhost:1/", private=True, resolved=resolver("127.0.0.1"))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1"])
def test_odd_spellings_of_this_machine_are_resolved_and_refused(host):
    with pytest.raises(ForbiddenDestinationError):
        check_destination(f"https://{host}/")
