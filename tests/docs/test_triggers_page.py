"""docs/reference/triggers.md: every trigger that it shows is one, and it shows every kind."""

import re
from pathlib import Path

import pytest
import yaml

from mlreg.controller.domain.policy_file import Kinds, read_policy
from mlreg.controller.domain.watchable import WATCHABLE
from mlreg.controller.triggers.kinds import trigger_kinds

PAGE = Path("docs/reference/triggers.md").read_text()
KINDS = Kinds(trigger_kinds(), {})
BLOCKS = [line[2:] for line in PAGE.splitlines() if line.startswith("- {")]
INLINE = re.findall(r"`(\{\w+: [^`]*\})`", PAGE)
SHOWN = [text for text in (*BLOCKS, *INLINE) if next(iter(yaml.safe_load(text))) in KINDS.triggers]


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_shown_is_a_trigger(text):
    assert len(read_policy(f"model: flights\ntriggers: [{text}]\n", KINDS).triggers) == 1


def test_every_kind_and_every_monitor_is_there():
    assert {next(iter(yaml.safe_load(text))) for text in SHOWN} >= {
        "schedule", "every", "drift", "performance", "invariant", "upstream", "webhook"
    }  # fmt: skip
    for word in (*KINDS.triggers, *WATCHABLE):
        part = re.sub(r"^(score|label)_(?!mean|share).*", r"\1_", word)
        assert part in PAGE, word


@pytest.mark.parametrize("text", re.findall(r"`((?:combine|quiet_hours): [^`]+)`", PAGE))
def test_combinations_and_quiet_hours_are_read(text):
    two = "model: flights\ntriggers: [{every: 1d}, {predictions: 5}]\n"
    assert read_policy(two + text + "\n", KINDS)
