"""Every route that can change something leaves an entry in the audit log, or says here why not.

A contract over `app.routes`: a new POST, PUT, PATCH or DELETE fails this until it is done below
and audited, or stands among the exceptions with a reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import func, select

from mlreg.client.oidc import exchange_id_token
from mlreg.client.signing import generate_key
from mlreg.client.wire.tokens import IssuerRequest
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.controller.api.connections import EXTRA
from mlreg.controller.domain.connections import Connections, FolderConnection
from mlreg.controller.services.alerting import Cause, raise_alert
from mlreg.controller.services.incidents import Alarm, open_incident
from mlreg.registry.store import tables
from tests.makers import PERSON, START, make_decision
from tests.servers.oidc_issuer import REPOSITORY, RunningIssuer
from tests.servers.whole_api import Knocker, whole_api
from tests.upload_makers import MISSING

A = "/api/v1"
M = f"{A}/models/{{model}}"
V = f"{M}/versions/{{number}}"
D = f"{M}/deployments/{{environment}}"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
BYTES = "bytes on their way in: what is registered of them is audited then, the rest is swept"
ROWS = "rows of the data plane: a batch is kept once under its id, thousands an hour"
A_LOOK = "a look at bytes: what it finds wrong is audited (`blob.corrupt`), a good look is a time"
COOKIE = "a cookie for pages, nothing is kept; a refused token is counted (`access.refused`)"
EXCEPTIONS = {
    f"POST {D}/acknowledgements": "scorers say each second what they serve; no state of ours",
    f"POST {A}/policies/preview": "a question: nothing is applied, and nothing kept",
    f"POST {M}/predictions": ROWS,
    f"POST {M}/labels": ROWS,
    f"POST {M}/metrics": "values of the data plane: each is kept once by its key, with who sent it",
    f"PUT {A}/blobs/{{digest}}": BYTES,
    f"POST {A}/uploads": BYTES,
    f"PATCH {A}/uploads/{{upload}}": BYTES,
    f"POST {A}/uploads/{{upload}}/urls": BYTES,
    f"PUT {A}/uploads/{{upload}}": BYTES,
    f"DELETE {A}/uploads/{{upload}}": BYTES,
    f"POST {V}/verify": A_LOOK,
    f"POST {A}/scrub": A_LOOK,
    "POST /login": COOKIE,
    "POST /logout": COOKIE,
}
FEATURES = [{"name": "x", "dtype": "float"}]
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers:
  - {schedule: "0 3 * * *"}
retrain: {rounds: 10}
"""
INVARIANTS = "{model: flights, invariants: [{name: x-known, not_null: x}]}"
GRID = "triggers: {weekly: [{every: 7d}]}"
SAID = {"reason": "why not"}


@dataclass
class House:
    """One installation, and what was done in it."""

    api: object
    folder: object
    done: dict[str, list[list[str]]] = field(default_factory=dict)

    def entries(self):
        with self.api.parts.database.reading() as session:
            found = select(tables.AuditEntry.action).order_by(tables.AuditEntry.seq)
            return list(session.exec(found).all())

    def does(self, method, template, act):
        """Do what a route is for, and remember what was audited meanwhile."""
        before = self.entries()
        answer = act()
        self.done.setdefault(f"{method} {template}", []).append(self.entries()[len(before) :])
        return answer

    def calls(
        self, method, template, body=None, *, token=None, status=(200, 201, 202, 204), **names
    ):
        """Call a route, and see that it has answered well."""
        values = {"model": "flights", "environment": "production", "number": 1, **names}
        path = re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), template)
        knocker = Knocker(self.api.url, token or self.api.token)
        sent = None if method == "DELETE" else body or {}

        def act():
            answer = knocker(method, path, sent, {"If-Match": "*"})
            assert answer.status in status, (method, path, answer.status, answer.body)
            return answer

        answer = self.does(method, template, act)
        knocker.close()
        return answer

    def run(self, statement, **values):
        with self.api.parts.database.writing() as session:
            session.execute(text(statement), values)


@pytest.fixture
def house(postgres, template, tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    with whole_api(postgres, template, folder, "audited") as api:
        yield House(api, tmp_path)


def unsafe_routes(api):
    return {f"{method} {path}" for method, path, _ in api.routes() if method in UNSAFE}


def make_models(house):
    target = {"task": "binary"}
    for name in ("doomed", "flights"):
        body = {"name": name, "target": target, "features": FEATURES}
        house.calls("POST", f"{A}/models", body)
    file = house.folder / "model.bin"
    with house.api.client() as client:
        provenance = ProvenanceForm(contract=FEATURES)
        for number in range(1, 4):
            file.write_bytes(b"weights %d" % number)
            files = [client.versions.upload_file(file)]
            request = VersionRequest(files=files, provenance=provenance, allow_missing=MISSING)
            for model in ("doomed", "flights"):
                house.does(
                    "POST",
                    f"{M}/versions",
                    lambda model=model, request=request: client.versions.register_files(
                        model, request
                    ),
                )
        packed = house.folder / "packed.mlreg"
        client.portable.export("flights", 1, packed)
        house.does(
            "POST",
            f"{M}/import",
            lambda: client.portable.import_file(client.portable.read(packed), model="copy"),
        )


def change_catalog(house):
    house.calls("POST", f"{A}/environments", {"name": "staging"})
    house.calls("POST", f"{M}/card/notes", {"section": "limits", "text": "none known"})
    house.calls("POST", f"{M}/require-signatures", {"required": True})
    house.run("UPDATE model SET requires_signature = false")
    house.calls("POST", f"{M}/unsafe", {"allowed": True, **SAID})
    house.calls("POST", f"{V}/archive", SAID, number=3)
    house.calls("POST", f"{V}/delete", SAID, number=3)
    house.calls("POST", f"{V}/restore", SAID, number=3)
    house.calls("POST", f"{M}/archive", SAID, model="doomed")
    house.calls("POST", f"{M}/delete", SAID, model="doomed")
    house.calls("POST", f"{M}/restore", SAID, model="doomed")
    house.calls("POST", f"{V}/delete", SAID, model="doomed", number=3)
    house.run(
        "UPDATE version SET deleted_at = now() - interval '400 days' WHERE deleted_at < now()"
    )
    house.calls("POST", f"{A}/garbage/collect")


def change_deployment(house):
    house.calls("POST", f"{D}/promote", {"version": 1, **SAID})
    house.calls("POST", f"{D}/promote", {"version": 2, "force": True, **SAID})
    house.calls("POST", f"{D}/rollback", SAID)
    house.calls("POST", f"{D}/unfreeze", SAID)  # a person's rollback froze it
    house.calls("POST", f"{D}/freeze", SAID)
    house.calls("POST", f"{D}/fallback", {"fallback": "prior", **SAID})
    with house.api.parts.database.writing() as session:
        deployment = session.exec(select(tables.Deployment)).one()
        bar = tables.VersionBar(
            deployment_id=deployment.id, version=2, reason="bad", at=START, actor="x"
        )
        session.add(bar)
        make_decision(session, deployment.model_id, 2, 1)
    house.calls("POST", f"{D}/unbar", {"version": 2, **SAID})
    house.calls("POST", f"{D}/protect", {"approvals": 1, **SAID})
    house.calls("POST", f"{D}/approval-requests", {"version": 2, **SAID})
    ann = house.api.make_token("ann", kind="person", role="approver")
    opinion = {"version": 2, "verdict": "rejected", **SAID}
    given = house.calls("POST", f"{D}/approvals", opinion, token=ann)
    assert given.status == 201
    house.calls("POST", f"{D}/approvals/{{number}}/withdraw", SAID, token=ann)


def change_access(house):
    public = generate_key(house.folder / "ada.key")
    with house.api.client() as client:
        house.calls("POST", f"{A}/signing-keys", {"name": "ada", "public_key": public})
        house.calls("POST", f"{A}/signing-keys/{{key}}/remove", key=client.keys.list()[0].id)
        house.calls("POST", f"{A}/tokens", {"name": "bob"})
        bob = next(one for one in client.tokens.list() if one.name == "bob")
        house.calls("POST", f"{A}/tokens/{{token_id}}/revoke", token_id=bob.id)
        grant = {"model": "flights", "role": "operator"}
        house.calls("POST", f"{A}/grants/{{principal}}", grant, principal="bob")
        house.calls("POST", f"{A}/grants/{{principal}}/{{model}}/withdraw", principal="bob")
        exchange(house)
        house.calls("POST", f"{A}/issuers/{{name}}/remove", name="ci")


def exchange(house):
    issuer = RunningIssuer()
    issuer.start()
    try:
        trust = IssuerRequest(
            name="ci",
            issuer=issuer.url,
            audience=house.api.url,
            claims={"repository_id": [REPOSITORY["repository_id"]]},
            private=True,
        )
        house.calls("POST", f"{A}/issuers", trust.model_dump(mode="json"))
        token = issuer.id_token(house.api.url)
        house.does("POST", f"{A}/oidc/exchange", lambda: exchange_id_token(house.api.url, token))
    finally:
        issuer.stop()


def change_webhooks(house):
    hook = {"name": "hook", "url": "https://hooks.example.com/", "topics": ["*"]}
    house.calls("POST", f"{A}/webhooks", hook)
    for verb in ("test", "disable", "enable"):
        house.calls("POST", f"{A}/webhooks/{{name}}/{verb}", name="hook")
    house.calls("DELETE", f"{A}/webhooks/{{name}}", name="hook")


def advance_clock(house):
    """First of all: it waits for every job that is queued."""
    house.run("UPDATE installation SET virtual_now = :at, ever_virtual = true", at=START)
    to = (START + timedelta(minutes=1)).isoformat()
    house.calls("POST", f"{A}/clock/advance", {"to": to})
    house.run("UPDATE installation SET virtual_now = NULL")


def replay(house, window):
    asked = house.calls("POST", f"{M}/backtests", {"grid": GRID, **window})
    number = json.loads(asked.body)["number"]
    house.calls("POST", f"{A}/backtests/{{number}}/cancel", SAID, number=number)


def change_policies(house):
    house.calls("POST", f"{A}/policies", {"text": POLICY})
    by_hand = f"{M}/policies/{{environment}}/triggers/{{trigger}}"
    house.calls("POST", by_hand, {"reason": "new prices"}, trigger="manual")
    house.calls("POST", f"{A}/policies", {"text": f"{POLICY}cooldown: 9h"})
    house.calls("POST", f"{M}/policies/{{environment}}/revert", {"to": 1})
    house.calls("POST", f"{M}/policies/{{environment}}/{{verb}}", verb="disable")
    house.calls("POST", f"{A}/budget", {"runs_per_day": 3})


def change_automation(house):
    house.run("UPDATE version SET flavour = 'lightgbm-text'")
    evaluations = f"{M}/versions/{{version}}/evaluations"
    house.calls("POST", evaluations, version=2)
    assert house.calls("POST", f"{M}/comparisons", {"question": "joint"}).status == 202
    window = {"start": "2013-07-01T00:00:00Z"}
    assert house.calls("POST", f"{M}/explanations", window).status == 202
    replay(house, window)
    house.calls("POST", f"{M}/versions/{{version}}/reproduce", version=2)
    run = house.calls("POST", f"{M}/runs", {"lane": "full"})
    assert run.status == 201
    house.calls("POST", f"{A}/runs/{{number}}/cancel", SAID)
    house.calls("POST", f"{A}/runs/{{number}}/retry")
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    snapshot = house.calls("POST", f"{M}/snapshots", span)
    house.calls("POST", f"{A}/invariants", {"text": INVARIANTS})
    digest = json.loads(snapshot.body)["digest"]
    house.calls("POST", f"{M}/invariants/checks", {"snapshot": digest})
    house.calls("POST", f"{M}/parities", {"version": 2})
    lake = FolderConnection(kind="folder", path=str(house.folder))
    house.api.app.state.parts.extras[EXTRA] = Connections({"lake": lake})
    house.calls("POST", f"{M}/freezes", {**span, "data": {"source": str(house.folder)}})
    house.calls("POST", f"{M}/log/retention", {"days": 400})
    house.calls("POST", f"{M}/log/erasures", {"entity": "customer-7", "reason": "asked"})
    with house.api.parts.database.writing() as session:
        model_id = session.exec(select(tables.Model.id).where(tables.Model.name == "flights")).one()
        alarm = Alarm(model_id, "production", "outage", "it burns", "since noon")
        number = open_incident(session, alarm, actor=PERSON, now=datetime.now(UTC))
    house.calls("POST", f"{A}/incidents/{{number}}/close", number=number)
    change_alerts(house, model_id)


def change_alerts(house, model_id):
    with house.api.parts.database.writing() as session:
        cause = Cause(model_id, "production", "drift", title="it drifts")
        number = raise_alert(session, cause, [], now=datetime.now(UTC))
    house.calls("POST", f"{A}/alerts/{{number}}/snooze", {"seconds": 60}, number=number)
    house.calls("POST", f"{A}/alerts/{{number}}/unsnooze", number=number)
    house.calls("POST", f"{A}/alerts/{{number}}/close", number=number)


def test_every_change_is_audited_or_says_why_not(house):
    advance_clock(house)
    make_models(house)
    change_catalog(house)
    change_deployment(house)
    change_access(house)
    change_webhooks(house)
    change_policies(house)
    change_automation(house)

    routes = unsafe_routes(house.api)
    assert routes - set(house.done) - set(EXCEPTIONS) == set(), "do it above, or say why not"
    assert set(house.done) - routes == set(), "no such route any more"
    assert set(EXCEPTIONS) - routes == set(), "no such route any more"
    assert [route for route, audited in house.done.items() if not all(audited)] == []
    with house.api.client() as client:
        assert client.audit.verify().first_bad is None
    with house.api.parts.database.reading() as session:
        assert session.exec(select(func.count()).select_from(tables.AuditEntry)).one() > 40
