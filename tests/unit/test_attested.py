"""Attestations as `version show` prints them: each finding once, the newest first, counted."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from mlreg.cli.commands.reproduction import attested
from mlreg.client.wire.attestations import AttestationAnswer

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_same_finding_is_shown_once_with_a_count():
    found = [("identical", "", False), ("differs", "another seed", False)]
    found += [("identical", "", True), ("identical", "", False), ("identical", "", False)]
    newest_first = [
        AttestationAnswer(
            number=1, kind="reproduce", outcome=outcome, reason=reason, body={"deep": deep},
            at=START - timedelta(days=place), actor=f"ada-{place}",
        )
        for place, (outcome, reason, deep) in enumerate(found)
    ]  # fmt: skip
    assert [line for _, line in attested(SimpleNamespace(attestations=newest_first))] == [
        "reproduce: identical, 2026-03-01 by ada-0, 3 times",
        "reproduce: differs, 2026-02-28 by ada-1: another seed",
        "reproduce --deep: identical, 2026-02-27 by ada-2",
    ]
    assert not list(attested(SimpleNamespace(attestations=None)))
