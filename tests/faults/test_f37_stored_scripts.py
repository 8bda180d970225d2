"""Fault 37: scripts in every stored string and file name, on every page, the card, and downloads.

The rows are written past every check of the API, so that what is tested is the way out. One test
reads the pages with a parser; one shows them to a real browser, without the headers that would save
it, and nothing may run.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import Text
from sqlmodel import AutoString, col, select

from mlreg.controller.domain.bins import Bins, ColumnBins, number_bins
from mlreg.controller.domain.profile import profile_rows
from mlreg.controller.store import tables as controller_tables
from mlreg.registry.domain.card_texts import html_of
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.services.cards import make_card
from mlreg.registry.store import tables
from mlreg.registry.store.columns import JSONB
from tests.api.test_doors import call
from tests.makers import START
from tests.servers.page_proxy import PageProxy

RUN = "new Image().src='/pwned'"
EVIL = (
    f'"><script>{RUN}</script><img src=/pwned1 onerror="{RUN}"><svg onload="{RUN}">'
    f'<a href="javascript:{RUN}" autofocus onfocus="{RUN}">x</a>\' onmouseover=\'{RUN}'
    "<iframe srcdoc=\"<img src=/pwned2>\"></iframe><style>@import '/pwned3';</style>"
    "</title></textarea><base href=/pwned/><meta http-equiv=refresh content='0;url=/pwned4'>"
    "<form action=/pwned5><button autofocus>{{7*191}}${7*191}"
)
NAME = "evil"
FEATURE = EVIL[:190]
FORBIDDEN = {"script", "img", "iframe", "object", "embed", "base", "style", "audio", "video"}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
SHOWN = {
    # how often the payload is there, as text: where it is not shown, nothing is proved
    "/": 1,
    f"/models/{NAME}": 9,
    f"/models/{NAME}/versions/1": 22,
    f"/models/{NAME}/versions/1/card": 22,
    f"/models/{NAME}/versions/1/diff/2": 1,
    f"/models/{NAME}/versions/1/lineage": 3,
    f"/lineage/version:{NAME}/1": 3,
    f"/models/{NAME}/monitors": 5,
    f"/models/{NAME}/monitors/{quote(FEATURE, safe='')}": 1,
    f"/models/{NAME}/explanations/1": 15,
    f"/models/{NAME}/explanations/2": 1,
    f"/models/{NAME}/backtests/3": 5,
}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ESTIMATE = {"estimate": 0.5, "low": 0.4, "high": 0.6}
BACKTESTED = {
    "metric": EVIL,
    "start": "2026-01-01T00:00:00Z",
    "end": "2026-02-01T00:00:00Z",
    "windows": 9,
    "rows": 9,
    "blocks": {"count": 9, "days": 1},
    "gates": False,
    "policies": [
        {
            **dict.fromkeys(("name", "triggers", "lanes", "selection", "error"), EVIL),
            **dict.fromkeys(("value", "gain", "behind"), ESTIMATE),
            "anchor": False,
            "pareto": True,
            "trainings": 1,
            "train_seconds": 1.0,
            "cost": 0.0,
            "by_lane": {},
            "verdicts": {},
            "held": {},
        }
    ],
    "left_out": [EVIL],
    "freshness": [{"weeks": 1, "fresh": 0.5, "lost": ESTIMATE, "compared": 9}],
    "answer": [EVIL],
    "trained": 1,
    "asked": 1,
    "seconds": 1.0,
}
KEPT = {
    # columns that hold names, digests or words of our own, which no person chooses
    *("name", "task", "digest", "manifest_digest", "stage_digest", "feature_contract", "flavour"),
    *("environment", "kind", "cause", "state", "section", "incarnation", "mode", "number"),
    *("role", "previous", "champion_digest"),
}
CONTRACT = {
    "format": 1,
    "features": [
        {"name": FEATURE, "dtype": "category", "categories": [EVIL], "unseen": "missing",
         "at_risk": True, "default": EVIL},
    ],
}  # fmt: skip
EVIDENCE = {
    "reason": EVIL,
    "rows": 1,
    "window": {"first": EVIL, "last": EVIL},
    "metrics": {"challenger": {EVIL: 1.0}},
    "gates": [
        {"gate": EVIL, "outcome": EVIL, "reason": EVIL, "evidence": {
            "metric": EVIL, "slices": [{"column": EVIL, "value": EVIL, "rows": 3,
                                        "challenger": 1.0, "champion": 0.5, "gain": None}]}},
    ],
}  # fmt: skip


EXPLAINED = {
    "by": "loss", "value": EVIL, "start": START.isoformat(), "end": START.isoformat(),
    "rows": 9, "labelled": 9, "confidence": 0.95, "least": 1, "looked_at": 1, "confined": 0,
    "slices": [{
        "kind": "wrong", "conditions": [{"feature": FEATURE, "text": EVIL}], "rows": 3,
        "share": 0.1, "mean": 1.0, "rest": 0.5, "excess": 0.5, "low": 0.1, "lift": 0.1,
    }],
    "contributions": {
        "version": 1, "groups": [EVIL, EVIL], "split": EVIL, "rows": [3, 3],
        "features": [{"feature": EVIL, "first": 1.0, "second": 0.5}],
    },
    "worst": [{
        "prediction_id": EVIL, "time": START.isoformat(), "score": 0.5, "label": 1.0, "loss": 0.7,
        "features": {EVIL: EVIL},
    }],
    "notes": [EVIL],
}  # fmt: skip


def add_monitors(session, model):
    """Add what is watched of the model: profiles, readings, an alert, explanations."""
    digest, day = "sha256:" + "c" * 64, START.replace(hour=0, minute=0, second=0, microsecond=0)
    codes = ColumnBins(FEATURE, "codes", np.empty(0), 1, categories=(EVIL,))
    bins = Bins((codes, number_bins("score", np.linspace(0, 1, 50), None)))
    body = profile_rows({FEATURE: np.zeros(9, int), "score": np.full(9, 0.5)}, bins).to_bytes()
    own = {"model_id": model.id, "contract": digest, "version": 1, "body": body}
    readings = [
        {"monitor": "psi", "subject": FEATURE, "verdict": "unusual"},
        {"monitor": "auc", "subject": "", "verdict": EVIL},
        {"monitor": f"business:{EVIL}", "subject": "", "evidence": {EVIL: EVIL}},
    ]
    payload = {"model_id": model.id, "environment": "production"}
    session.add_all(
        [
            controller_tables.ContractBins(contract=digest, body=bins.to_bytes(), created_at=START),
            controller_tables.ReferenceProfile(**own, source=EVIL),
            controller_tables.WindowProfile(**own, start=day, rows=9),
            controller_tables.RolledProfile(**own, width="day", start=day, rows=9),
            *(
                controller_tables.Reading(
                    model_id=model.id, environment="production", start=day,
                    end=day + timedelta(days=1), value=0.5, rows=9, state="final",
                    created_at=START, **one,
                )
                for one in [*readings, {"monitor": "rows", "subject": ""}]
            ),
            controller_tables.Alert(
                model_id=model.id, environment="production", kind=EVIL, subject=EVIL, title=EVIL,
                severity=EVIL, state="open", culprits=[FEATURE, EVIL], memory={},
                created_at=START, opened_at=START,
            ),
            controller_tables.Job(id=1, kind="explain", payload=payload, state="succeeded",
                                  outcome=EXPLAINED, enqueued_at=START),
            controller_tables.Job(id=2, kind="explain", payload=payload, state="failed",
                                  error=EVIL, enqueued_at=START),
            controller_tables.Job(id=3, kind="backtest", payload=payload, state="succeeded",
                                  outcome={"found": BACKTESTED}, enqueued_at=START),
        ]
    )  # fmt: skip


def spoil(row):
    """Put the payload into every free text of a row, inside of its documents too."""
    for column in row.__table__.columns:
        if column.name in KEPT or column.primary_key or column.foreign_keys:
            continue
        if isinstance(column.type, JSONB):
            document = getattr(row, column.name)
            setattr(row, column.name, spoilt(document) if document else document)
        elif isinstance(column.type, AutoString | Text):
            setattr(row, column.name, EVIL)
    return row


def spoilt(value):
    if isinstance(value, dict):
        return {key: spoilt(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spoilt(item) for item in value]
    return EVIL if isinstance(value, str) else value


@pytest.fixture
def stored(api, database):  # noqa: PLR0915 - one of everything
    """A model, a version, its stage and card, a deployment: every free text of them is evil."""
    curves = f'step,"{EVIL.replace(chr(34), chr(34) * 2)}"\n1,0.5\n2,0.6\n'.encode()
    search = f'trial,"{EVIL.replace(chr(34), chr(34) * 2)}"\n1,"<script>{RUN}</script>"\n'.encode()
    page = f"<html><script>{RUN}</script></html>".encode()
    files = {"curves.csv": curves, "search.csv": search, "page.html": page}
    for content in files.values():
        api.parts.store.put(digest_of(content), io.BytesIO(content), len(content))
    with database.writing() as session:
        model = tables.Model(
            name=NAME, task="binary", target_contract={"classes": [EVIL], "positive_class": EVIL},
            created_at=START, created_by="x", last_version=1,
        )  # fmt: skip
        session.add(spoil(model))
        manifest = Manifest.of(
            ManifestFile(path=name, size=len(content), digest=digest_of(content))
            for name, content in files.items()
        )
        session.add_all(
            [
                tables.Manifest(digest=manifest.digest, body=manifest.body,
                                total_size=1, created_at=START),
                tables.Contract(digest="sha256:" + "c" * 64, kind="feature", body=CONTRACT),
                *(
                    tables.Blob(digest=digest_of(content), size=len(content), created_at=START,
                                verified_at=START)
                    for content in files.values()
                ),
            ]
        )  # fmt: skip
        session.flush()
        version = tables.Version(
            model_id=model.id, number=1, manifest_digest=manifest.digest, flavour="opaque",
            lane="full", trainer="x", git={"commit": "x", "remote": "x", "dirty": True},
            snapshots=["x"], data=[{"name": "x", "digest": EVIL, "kind": "file", "rows": 1}],
            feature_contract="sha256:" + "c" * 64, hyperparameters={"a": "x", "b": {"c": ["x"]}},
            seeds={"s": 1}, metrics={"auc": 0.5}, tags={"a": "x"}, missing=["x"], description="x",
            environment={"python": "x", "platform": "x", "cpu": "x", "packages": {}},
            created_at=START, created_by="x", stage_digest=manifest.digest,
            duration_seconds=1.0, peak_memory_bytes=2**20,
        )  # fmt: skip
        spoil(version)
        for names in ("hyperparameters", "metrics", "seeds"):
            setattr(version, names, {**getattr(version, names), EVIL: 7})
        version.tags = {EVIL: EVIL}
        session.add(version)
        session.add(
            tables.Version(
                model_id=model.id, number=2, manifest_digest=manifest.digest, flavour="opaque",
                metrics={}, tags={}, missing=[], created_at=START, created_by="x", parent=1,
            )
        )  # fmt: skip
        for kind in ("run", "segment", "revision"):
            session.add(
                tables.LineageEdge(
                    source_kind=kind, source=EVIL, target_kind="version",
                    target=f"{NAME}/1", model_id=model.id, created_at=START,
                )
            )  # fmt: skip
        session.flush()
        kinds = {"curves.csv": "loss_curve", "search.csv": "search_table", "page.html": "other"}
        for name, kind in kinds.items():
            content = files[name]
            session.add(
                tables.StageFile(model_id=model.id, number=1, name=name, kind=kind,
                                 digest=digest_of(content), size=len(content))
            )  # fmt: skip
        broken = digest_of(b"gone")
        session.add(
            tables.StageFile(model_id=model.id, number=1, name=EVIL, kind="loss_curve",
                             digest=broken, size=4)
        )  # fmt: skip
        for section in ("intended_use", "ethics", "limits", "contact"):
            session.add(
                tables.CardNote(model_id=model.id, section=section, text=EVIL, at=START, actor=EVIL)
            )
        session.add(
            tables.Attestation(model_id=model.id, number=1, kind=EVIL, outcome=EVIL,
                               body={"reason": EVIL}, at=START, actor=EVIL)
        )  # fmt: skip
        decision = tables.Decision(
            model_id=model.id, environment="production", challenger=1, verdict=EVIL,
            evidence=EVIDENCE, created_at=START, created_by=EVIL,
        )  # fmt: skip
        deployment = tables.Deployment(
            model_id=model.id, environment="production", revision=2, champion=1, frozen=True,
            frozen_reason=EVIL, updated_at=START,
        )  # fmt: skip
        session.add_all([decision, deployment])
        session.flush()
        for number in (1, 2):
            session.add(
                tables.Revision(
                    deployment_id=deployment.id, number=number, champion=1, candidates=[],
                    fallback=EVIL, frozen=True, cause=EVIL, actor=EVIL, reason=EVIL, forced=True,
                    at=START + timedelta(hours=number),
                )
            )  # fmt: skip
        add_monitors(session, model)
        session.add_all(
            [
                tables.VersionBar(deployment_id=deployment.id, version=1, reason=EVIL, actor=EVIL,
                                  at=START),
                tables.Acknowledgement(deployment_id=deployment.id, client=EVIL, revision=1,
                                       at=START),
            ]
        )  # fmt: skip


@pytest.fixture
def cookie(api):
    form = urlencode({"token": api.token})
    status, headers, _ = call(api, "POST", "/login", form, token=None, **FORM)
    assert status == 303
    return headers["set-cookie"].split(";")[0]


def page_paths(api):
    """Return every page of the dashboard with its parameters filled in; a new one must be known."""
    values = {"model": NAME, "number": "1", "other": "2", "thing": f"version:{NAME}/1"}
    values["feature"] = quote(FEATURE, safe="")
    found = []
    for context in iter_route_contexts(list(api.app.router.routes)):
        path = context.path or ""
        if "GET" not in (context.methods or ()) or path.startswith(("/api/", "/static/")):
            continue
        if path in {"/healthz", "/readyz", "/metrics"}:
            continue
        found.append(re.sub(r"{(\w+)(:\w+)?}", lambda match: values[match[1]], path))
    found += [f"/lineage/{quote(f'{kind}:{EVIL[:190]}', safe='')}" for kind in ("run", "nothing")]
    found += [f"/models/{NAME}/backtests/3", f"/models/{NAME}/explanations/2"]
    found += [f"/models/{NAME}/monitors?width=week&size=psi"]
    return [*found, f"/models/{quote(EVIL, safe='')}", f"/models/{NAME}/versions/9"]


class Page(HTMLParser):
    """What a page has: tags, attributes, targets of links, text."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.attributes, self.targets, self.text = set(), set(), [], []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value for name, value in attrs if name in {"href", "src", "action"}]

    def handle_data(self, data):
        self.text.append(data)


def check_inert(content):
    page = Page(content)
    assert not page.tags & FORBIDDEN
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    assert "srcdoc" not in page.attributes
    for target in page.targets:
        assert target.startswith("/"), target
        assert "pwned" not in urlsplit(target).path or "%3C" in target
    assert "1337" not in content
    return page


@pytest.mark.usefixtures("stored")
def test_every_page_shows_scripts_as_text(api, cookie):
    paths = page_paths(api)
    assert len(paths) >= 7
    for path in paths:
        status, headers, body = call(api, "GET", path, token=None, Cookie=cookie)
        assert status in {200, 404}, path
        page = check_inert(body.decode())
        policy = dict(
            directive.strip().partition(" ")[::2]
            for directive in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] in {"'none'", "'self'"}, path
        assert "unsafe" not in headers["content-security-policy"]
        assert policy.get("script-src", "'none'") == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert "".join(page.text).count("/pwned5") >= SHOWN.get(path, 0), path
        if path == f"/models/{NAME}/versions/1":
            assert {"svg", "polyline"} <= page.tags
        if path.startswith(f"/models/{NAME}/monitors"):
            assert {"svg", "rect", "circle"} <= page.tags
        if path.startswith("/lineage/version"):
            assert {"svg", "rect"} <= page.tags


@pytest.mark.usefixtures("stored")
def test_the_card_that_is_taken_along_is_inert(database, client):
    with database.reading() as session:
        check_inert(html_of(make_card(session, NAME, 1)))
    check_inert(client.cards.document(NAME, 1, "html"))


@pytest.mark.usefixtures("stored")
def test_files_are_attachments_that_no_browser_renders(api, database):
    with database.reading() as session:
        digest = session.exec(
            select(tables.StageFile.digest).where(col(tables.StageFile.name) == "page.html")
        ).one()
    path = f"/api/v1/models/{NAME}/versions/1/blobs/{digest}"
    status, headers, _ = call(api, "GET", path)
    assert status == 200
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/octet-stream"
    assert "sandbox" in headers["content-security-policy"]


@pytest.mark.usefixtures("stored")
def test_answers_of_the_api_are_json_that_no_browser_renders(api):
    paths = [f"/models/{NAME}", f"/models/{NAME}/versions/1", f"/models/{NAME}/versions/1/card"]
    paths += [f"/models/{NAME}/versions/1/stage", f"/models/{NAME}/versions/1/card/html"]
    paths += [f"/models/{quote(EVIL, safe='')}", "/nothing/%3Cscript%3E"]
    for path in paths:
        _, headers, _ = call(api, "GET", f"/api/v1{path}")
        assert headers["content-type"] in {"application/json", "application/problem+json"}
        assert headers["x-content-type-options"] == "nosniff"


def visit(url):
    """Load a page in a real browser, let its time pass, and return what it became."""
    with tempfile.TemporaryDirectory(prefix="mlreg-chromium-") as profile:
        words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        words += ["--disable-dev-shm-usage", f"--user-data-dir={profile}", "--mute-audio"]
        words += ["--disable-background-networking", "--virtual-time-budget=4000"]
        done = subprocess.run(
            [*words, "--dump-dom", url], capture_output=True, text=True, timeout=90, check=False
        )
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize("bare", [True, False], ids=["without headers", "with headers"])
@pytest.mark.usefixtures("stored")
def test_nothing_runs_in_a_real_browser(api, cookie, bare):
    address = urlsplit(api.url)
    pages = page_paths(api)
    with PageProxy((address.hostname, address.port), cookie, pages, bare=bare) as proxy:
        visit(proxy.url + "/frames")
        assert set(pages) <= set(proxy.seen), "the browser did not come to every page"
        assert proxy.pwned == []
        assert proxy.failed == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_the_browser_would_have_told(tmp_path):
    """The payload does run where it is not escaped: else the test above proves nothing."""
    address = ("127.0.0.1", 9)
    with PageProxy(address, "", [], bare=True) as proxy:
        (tmp_path / "live.html").write_text(EVIL.replace("'/pwned'", f"'{proxy.url}/pwned'"))
        visit((tmp_path / "live.html").as_uri())
        assert any(path.startswith("/pwned") for path in proxy.pwned)
