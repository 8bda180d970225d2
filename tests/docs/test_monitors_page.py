"""The pages about monitors are about the monitors that there are."""

from pathlib import Path

from mlreg.controller.domain.metrics import WATCHED_OF_TASK
from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.services.label_readings import awaited

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "monitors.md").read_text()


def test_every_metric_is_named_with_its_task():
    for task, metrics in WATCHED_OF_TASK.items():
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {task} |")]
        for metric in metrics:
            assert f"`{metric}`" in line, (task, metric)
        for monitor in awaited(task):
            if not monitor.startswith("skill_"):
                assert f"`{monitor}`" in PAGE, monitor


def test_every_key_of_the_policy_is_named():
    page = (DOCS / "reference" / "policy.md").read_text()
    section = page.split("## monitors")[1].split("\n## ")[0]
    for name in MonitorRule.model_fields:
        assert f"| `{name}` |" in section, name


def test_it_is_said_what_an_estimate_cannot_see():
    explained = (DOCS / "explanation" / "delayed-labels.md").read_text()
    assert "blind to pure concept" in PAGE
    assert "blind to pure concept" in explained
