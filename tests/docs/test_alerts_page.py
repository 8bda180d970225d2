"""The pages about alerts: commands that exist, files that are read, the table of defaults."""

import re
import shlex
from pathlib import Path

import yaml
from typer.main import get_group

from mlreg.cli.app import load, root
from mlreg.cli.settings import Settings
from mlreg.controller.domain.alert_rule import DEFAULTS
from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.services.policies import parse_policy
from mlreg.registry.domain.events import TOPICS
from mlreg.registry.domain.notice_targets import FORM

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "be-alerted.md").read_text()
REFERENCE = (DOCS / "reference" / "alerts.md").read_text()


def test_the_commands_exist_with_their_options():
    blocks = "".join(re.findall(r"```sh\n(.*?)```", HOW_TO, re.DOTALL))
    commands = re.findall(r"^(?:MLREG_ROUTING_KEY=… )?mlreg (.+)$", blocks, re.MULTILINE)
    assert len(commands) > 10
    for line in commands:
        words = shlex.split(line)
        found = load(words[0])
        leaf = found.commands[words[1]] if hasattr(found, "commands") else found
        options = {name for param in leaf.params for name in param.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
    assert get_group(root)


def test_the_files_are_read():
    targets, policy = re.findall(r"```yaml\n(.*?)```", HOW_TO, re.DOTALL)
    assert set(FORM.validate_python(yaml.safe_load(targets))) == {"oncall", "team"}
    rules = parse_policy(policy).alerts
    assert rules.of_kind("volume") is None
    assert (rules.of_kind("drift").of, rules.of_kind("drift").quiet) == (5, 2)


def test_the_settings_exist():
    for page in (HOW_TO, (DOCS / "reference" / "settings.md").read_text()):
        named = {name.lower() for name in re.findall(r"MLREG_((?:NOTI|SILENT|HEART)[A-Z_]+)", page)}
        assert named == {
            "notify_urls",
            "notifications_file",
            "silent_after_seconds",
            "heartbeat_url",
        }
        assert named <= set(Settings.model_fields)


def test_the_table_is_of_the_defaults():
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| (\d+) of (\d+) \| (\d+) \| `(\w+)` \| (.+) \| (\w+) \|$",
        REFERENCE,
        re.MULTILINE,
    )
    expected = [
        (
            kind,
            str(rule.windows),
            str(rule.of),
            str(rule.quiet),
            rule.severity,
            str(rule.escalate or "-"),
            spell_duration(rule.remind),
        )
        for kind, rule in DEFAULTS.items()
    ]
    assert rows == expected


def test_the_topics_exist():
    assert set(re.findall(r"`((?:alert|controller)\.[a-z]+)`", HOW_TO + REFERENCE)) <= set(TOPICS)
