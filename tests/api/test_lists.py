"""Every command that prints a list: one shape with `--json`, and 80 columns wherever it goes.

The answers come from a server that makes the longest ones that the wire's types allow: names of 63
characters, digests, texts without a space. To bring all of them about would take every mishap.
"""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import TypeAdapter
from typer.main import get_group

from mlreg.cli.app import COMMANDS, load, root
from mlreg.cli.output import OUTPUT
from mlreg.client.wire.alerts import AlertAnswer
from mlreg.client.wire.approvals import ApprovalsAnswer
from mlreg.client.wire.audit import AuditAnswer
from mlreg.client.wire.base import Page
from mlreg.client.wire.cards import NoteAnswer
from mlreg.client.wire.cleanup import GarbageAnswer
from mlreg.client.wire.clock import ClockAnswer
from mlreg.client.wire.costs import BudgetAnswer, CostAnswer, QueuedRunAnswer
from mlreg.client.wire.decisions import DecisionAnswer
from mlreg.client.wire.deployments import RevisionAnswer, StatusAnswer
from mlreg.client.wire.drift import DriftAnswer
from mlreg.client.wire.environments import EnvironmentAnswer
from mlreg.client.wire.incidents import IncidentAnswer
from mlreg.client.wire.invariants import InvariantsAnswer
from mlreg.client.wire.members import ControllerAnswer, WorkerAnswer
from mlreg.client.wire.models import ModelAnswer
from mlreg.client.wire.monitors import ReadingAnswer
from mlreg.client.wire.policies import FiringAnswer, PolicyVersionAnswer
from mlreg.client.wire.runs import RunAnswer
from mlreg.client.wire.signing import KeyAnswer
from mlreg.client.wire.snapshots import SnapshotAnswer
from mlreg.client.wire.tokens import GrantAnswer, IssuerAnswer, TokenAnswer
from mlreg.client.wire.versions import VersionAnswer
from mlreg.client.wire.webhooks import DeliveryAnswer, WebhookAnswer

LISTS = {
    "alert list": Page[AlertAnswer],
    "approval list m": ApprovalsAnswer,
    "audit list": Page[AuditAnswer],
    "card notes m": Page[NoteAnswer],
    "decision list m": Page[DecisionAnswer],
    "environment list": Page[EnvironmentAnswer],
    "history m": Page[RevisionAnswer],
    "incident list": Page[IncidentAnswer],
    "invariant list m": InvariantsAnswer,
    "invariant show m --history": Page[InvariantsAnswer],
    "issuer list": Page[IssuerAnswer],
    "key list": Page[KeyAnswer],
    "model list": Page[ModelAnswer],
    "monitor show m": Page[ReadingAnswer],
    "monitor show m --monitor psi": Page[ReadingAnswer],
    "policy firings m": Page[FiringAnswer],
    "policy history m": Page[PolicyVersionAnswer],
    "run list": Page[RunAnswer],
    "search lane:*": Page[VersionAnswer],
    "snapshot list m": Page[SnapshotAnswer],
    "status": Page[StatusAnswer],
    "token grants": Page[GrantAnswer],
    "token list": Page[TokenAnswer],
    "version list m": Page[VersionAnswer],
    "version list m --deleted": Page[VersionAnswer],
    "webhook deliveries w": Page[DeliveryAnswer],
    "webhook list": Page[WebhookAnswer],
}
SHOWN = {
    "budget show": BudgetAnswer,
    "cost": Page[CostAnswer],
    "drift m": DriftAnswer,
    "gc --dry-run": GarbageAnswer,
    "incident show 1": IncidentAnswer,
    "run list --cost": Page[RunAnswer],
    "run list --queue": Page[QueuedRunAnswer],
    "status --controllers": Page[ControllerAnswer],
    "status --workers": Page[WorkerAnswer],
}
"""Other commands that print a table."""
ANSWERS = {**LISTS, **SHOWN}
TABLES = [words for words in LISTS if words not in {"card notes m", "monitor show m"}]
NAME = "departure-delays-of-regional-flights-in-the-north-east-of-all-us"
ORDINARY = "flights"
assert len(NAME) > 60


def longest(schema, parts):
    """Return a long value of a JSON schema; `parts` are its definitions."""
    if "$ref" in schema:
        return longest(parts[schema["$ref"].rsplit("/", 1)[-1]], parts)
    if "enum" in schema:
        return max(schema["enum"], key=lambda one: len(str(one)))
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return longest(schema["anyOf"][0], parts)
    makers = {
        "object": lambda: _object(schema, parts),
        "array": lambda: [longest(schema.get("items", {}), parts)] * 2,
        "string": lambda: _text(schema),
        "integer": lambda: 1_234_567,
        "number": lambda: 0.123456789,
        "boolean": lambda: NAME != ORDINARY,
    }
    return makers[schema["type"]]() if "type" in schema else NAME


def _object(schema, parts):
    if "properties" in schema:
        made = {name: longest(one, parts) for name, one in schema["properties"].items()}
        return made | ({"id": "0123456789abcdef"} if isinstance(made.get("id"), str) else {})
    values = schema.get("additionalProperties")
    value = longest(values, parts) if isinstance(values, dict) and values else 12345.678
    return {NAME: value, "commit": value}


def _text(schema):
    if schema.get("format") == "date-time":
        return "2026-11-21T16:40:00Z"
    return "sha256:" + "5" * 64 if "sha256" in schema.get("pattern", "") else NAME[:63]


def document_of(kind):
    schema = TypeAdapter(kind).json_schema()
    document = longest(schema, schema.get("$defs", {}))
    return json.dumps({**document, "next": None} if "items" in document else document).encode()


@contextmanager
def answering(kind):
    """Serve one answer at every address, but for the clock."""
    answer, clock = document_of(kind), document_of(ClockAnswer)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            body = clock if self.path.endswith("/clock") else answer
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Terminal(io.StringIO):
    """What a command prints, as if a person read it."""

    def isatty(self):
        return True


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("MLREG_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("MLREG_TOKEN", "mlr_x")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(OUTPUT, "json", False)

    def run(words, stdout):
        with answering(ANSWERS[words]) as url, redirect_stdout(stdout), redirect_stderr(stdout.err):
            monkeypatch.setenv("MLREG_URL", url)
            get_group(root).main(args=[*words.split(), *stdout.options], standalone_mode=False)
        return stdout.getvalue()

    return run


def stdout(kind=io.StringIO, *options):
    made = kind()
    made.options, made.err = options, io.StringIO()
    return made


@pytest.mark.parametrize("words", LISTS)
def test_a_list_is_items_and_a_cursor(run, words):
    document = json.loads(run(words, stdout(io.StringIO, "--json")))
    assert isinstance(document["items"], list)
    assert document["items"]
    assert document["next"] is None


@pytest.mark.parametrize("words", [*TABLES, *SHOWN])
def test_a_table_of_ordinary_names_fits_eighty_columns_in_a_pipe(run, words, monkeypatch):
    monkeypatch.setitem(globals(), "NAME", ORDINARY)
    lines = run(words, stdout()).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("words", TABLES)
def test_a_table_fits_a_terminal_and_is_whole_in_a_pipe(run, words):
    lines = run(words, stdout(Terminal)).splitlines()
    while not lines[0].replace("…", "").isupper():
        lines.pop(0)
    assert len(lines) > 1
    assert [line for line in lines if len(line) > 80] == []
    assert "…" not in run(words, stdout())


def test_no_command_that_lists_is_forgotten():
    leaves = [f"{name} list" for name in COMMANDS if "list" in getattr(load(name), "commands", {})]
    assert not [leaf for leaf in leaves if not any(words.startswith(leaf) for words in LISTS)]
