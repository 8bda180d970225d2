"""The page about events lists the topics that mlreg sends; the how-to's check is the signer's."""

import re
from datetime import UTC, datetime
from pathlib import Path

from mlreg.registry.domain.events import KINDS
from mlreg.registry.domain.webhooks import ATTEMPTS, new_secret, signed_headers

DOCS = Path(__file__).parents[2] / "docs"


def test_every_topic_is_in_the_table_as_it_is():
    page = (DOCS / "reference" / "events.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.*) \| (\w+) \|$", page, re.MULTILINE)
    assert rows == [(kind.topic, kind.when, kind.paging) for kind in KINDS]
    assert len({kind.topic for kind in KINDS}) == len(KINDS)
    assert f"({ATTEMPTS} attempts)" in page


def test_the_check_of_a_signature_is_right():
    page = (DOCS / "how-to" / "webhooks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(code, names)
    secret, body = new_secret(), b'{"a": 1}'
    headers = signed_headers(secret, "key", body, datetime.now(UTC))
    assert names["is_genuine"](headers, body, secret)
    assert not names["is_genuine"](headers, body + b" ", secret)
    assert not names["is_genuine"](headers, body, new_secret())
    old = signed_headers(secret, "key", body, datetime(2026, 1, 1, tzinfo=UTC))
    assert not names["is_genuine"](old, body, secret)
