"""Fault 39, webhooks: whoever may name a URL cannot make the server call into its own network.

Real sockets listen where the URLs lead, and nobody may knock.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from mlreg.controller.services import delivering
from mlreg.controller.services.chore import ChoreRoom
from mlreg.registry.domain.targets import InvalidTargetError, parse_target
from mlreg.registry.services import posting
from mlreg.registry.services.outbox import tell
from mlreg.registry.services.outgoing import NoAnswerError
from mlreg.registry.services.posting import ForbiddenTargetError, Postman, PostSettings
from mlreg.registry.services.webhooks import WebhookForm, create_webhook, list_webhooks
from tests.makers import PERSON, START
from tests.servers.receiver import DRIP_SECONDS

PORT = 8443
INTO_OURSELVES = (
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
    "[::]",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
)
INTO_OUR_NETWORK = (
    "169.254.169.254",
    "0xa9fea9fe",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fc00::1]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
)


class Knocks:
    """Counts who knocks at some addresses of this machine."""

    def __init__(self, *places):
        self.count = 0
        self._sockets = [_listening(*place) for place in places]
        for one in self._sockets:
            threading.Thread(target=self._accept, args=[one], daemon=True).start()

    def _accept(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def stop(self):
        for one in self._sockets:
            one.shutdown(socket.SHUT_RDWR)
            one.close()


def _listening(host, port):
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((host, port))
    listening.listen()
    return listening


@pytest.fixture
def knocks():
    places = [("127.0.0.1", PORT), ("::1", PORT)] if socket.has_ipv6 else [("127.0.0.1", PORT)]
    found = Knocks(*places)
    yield found
    time.sleep(0.05)
    found.stop()


def postman(receiver, *allow, resolved=None):
    settings = PostSettings(frozenset(allow), receiver.ca_file)
    return Postman(settings, resolved) if resolved else Postman(settings)


def test_no_spelling_of_an_inner_address_is_called(database, knocks):
    hosts = [*INTO_OURSELVES, *INTO_OUR_NETWORK]
    with database.writing() as session:
        for number, host in enumerate(hosts):
            form = WebhookForm(f"hook-{number}", f"https://{host}:{PORT}/", "cloudevents", ["*"])
            create_webhook(session, form, actor=PERSON, now=START)
        tell(session, "version.registered", {"model": "flights"}, now=START)
    delivering.send(ChoreRoom(database, None, datetime(2026, 3, 1, tzinfo=UTC)))
    with database.reading() as session:
        found = list_webhooks(session, actor=PERSON)
    assert len(found) == len(hosts)
    said = {one.url: one.last_outcome for one in found}
    assert [url for url, outcome in said.items() if "is not called" not in outcome] == []
    assert knocks.count == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "https:///nowhere",
        "https://user:word@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:443@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\\..\\",
        "https://example.com#@127.0.0.1/",
        "https://example.com/#x",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\n",
        "https://\t127.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://ⓛocalhost/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127。0。0。1/",
        "https://exämple.com/",
        "https://localhost%00.example.com/",
        "https://%6c%6fcalhost/",
        "https://[::1%25lo]/",
        "https://[::1%lo]/",
        "https://example.com./",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:0443a/",
        "https://" + "a" * 2_000 + "/",
        "",
    ],
)
def test_a_url_that_is_more_than_host_port_and_path_is_refused(url):
    with pytest.raises(InvalidTargetError) as caught:
        parse_target(url)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("port", [22, 25, 80, 3306, 5432, 6379, 8080, 9200])
def test_other_services_ports_are_refused(receiver, port):
    with pytest.raises(ForbiddenTargetError, match="port"):
        postman(receiver).post(parse_target(f"https://example.com:{port}/"), b"", {})


def test_a_name_that_also_leads_inside_is_refused(receiver, knocks):
    sender = postman(receiver, resolved=lambda _host, _port: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(ForbiddenTargetError):
        sender.post(parse_target(f"https://both.example:{PORT}/"), b"", {})
    assert knocks.count == 0


def test_the_name_of_a_metadata_service_is_refused(receiver):
    sender = postman(receiver, resolved=lambda _host, _port: ["169.254.169.254"])
    with pytest.raises(ForbiddenTargetError):
        sender.post(parse_target("https://metadata.google.internal/"), b"", {})
    allowed = postman(
        receiver, "metadata.google.internal", resolved=lambda _host, _port: ["169.254.169.254"]
    )
    with pytest.raises(ForbiddenTargetError, match="link-local"):
        allowed.post(parse_target("https://metadata.google.internal/"), b"", {})


def test_a_resolver_that_changes_its_mind_gains_nothing(receiver):
    """The name is asked for once, and the answer that was checked is the one connected to."""
    with ExitStack() as ended:
        other = Knocks(("127.0.0.2", receiver.port))
        ended.callback(other.stop)
        answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]])
        place = f"hooks.test:{receiver.port}"
        sender = postman(receiver, place, resolved=lambda _host, _port: next(answers))
        assert sender.post(parse_target(f"https://{place}/"), b"{}", {}) == 200
        assert next(answers) == ["127.0.0.2"]
        assert (len(receiver.received), other.count) == (1, 0)
        assert receiver.received[0].headers["host"] == place


def test_a_redirect_into_ourselves_is_not_followed(receiver, knocks):
    receiver.statuses[:] = [302]
    receiver.location = f"https://127.0.0.1:{PORT}/"
    status = postman(receiver, receiver.place).post(parse_target(receiver.url), b"{}", {})
    assert (status, knocks.count, len(receiver.received)) == (302, 0, 1)


def test_the_certificate_must_be_the_names_and_trusted(receiver):
    by_address = f"127.0.0.1:{receiver.port}"
    with pytest.raises(NoAnswerError, match="certificate"):
        postman(receiver, by_address).post(parse_target(f"https://{by_address}/"), b"", {})
    stranger = Postman(PostSettings(frozenset({receiver.place})))
    with pytest.raises(NoAnswerError, match="certificate"):
        stranger.post(parse_target(receiver.url), b"", {})
    assert receiver.received == []


def test_proxies_of_the_environment_are_not_asked(receiver, knocks, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{PORT}")
    assert postman(receiver, receiver.place).post(parse_target(receiver.url), b"{}", {}) == 200
    assert knocks.count == 0


def test_an_answer_that_drips_is_broken_off(receiver, monkeypatch):
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.5)
    began = time.monotonic()
    target = parse_target(f"https://{receiver.place}/drip")
    with pytest.raises(NoAnswerError):
        postman(receiver, receiver.place).post(target, b"{}", {})
    assert time.monotonic() - began < DRIP_SECONDS / 2


def test_an_answer_without_end_is_not_read(receiver):
    target = parse_target(f"https://{receiver.place}/flood")
    assert postman(receiver, receiver.place).post(target, b"{}", {}) == 200
