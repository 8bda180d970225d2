"""The page about the policy file is about the policy file that mlreg reads."""

import re
from pathlib import Path

from mlreg.controller.domain.alert_rule import AlertRule
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import GuardRule, RetrainRule
from mlreg.controller.services.policies import parse_policy
from mlreg.controller.triggers.kinds import OURS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"


def test_every_example_can_be_applied():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        parse_policy(example)


def test_every_key_is_named():
    page = PAGE.read_text()
    for part in (AlertRule, DataRule, RetrainRule, GuardRule, *OURS):
        for name in part.model_fields:
            assert name in page, f"{part.__name__}.{name}"
