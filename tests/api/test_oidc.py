"""ID tokens of a CI system, of a real issuer with real keys, exchanged for tokens of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from mlreg.client.client import Client
from mlreg.client.errors import InvalidError, NotAllowedError, RefusedError
from mlreg.client.oidc import exchange_id_token
from mlreg.client.wire.tokens import IssuerRequest
from mlreg.registry.services.oidc_keys import ASK_AGAIN_SECONDS, FRESH_SECONDS, IssuerKeys
from tests.makers import make_models
from tests.servers.oidc_issuer import REPOSITORY, RunningIssuer

CLAIMS = {
    "repository_id": ["74"],
    "repository_owner_id": ["65"],
    "ref": ["refs/heads/main", "refs/heads/release"],
    "workflow_ref": ["octo/flights/.github/workflows/train.yml@refs/heads/main"],
    "environment": ["production"],
}


@pytest.fixture
def issuer():
    running = RunningIssuer()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def trust(client, issuer, api, database):
    make_models(database, "flights")
    make_models(database, "fraud")

    def add(name="github", **options):
        given = {
            "issuer": issuer.url,
            "audience": api.url,
            "claims": CLAIMS,
            "models": ["flights"],
            "private": True,
            "algorithms": ["RS256", "ES256", "EdDSA"],
            **options,
        }
        return client.issuers.add(IssuerRequest(name=name, **given))

    return add


@pytest.fixture
def clock(api):
    """Time for the keys' ages, moved by hand: `clock.now += 31`."""

    class Clock:
        now = 1000.0

    api.app.state.issuer_keys = IssuerKeys(monotonic=lambda: Clock.now)
    return Clock


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_an_id_token_is_good_for_a_quarter_of_an_hour(api, issuer, trust, client, algorithm):
    trust()
    issued = exchange_id_token(api.url, issuer.id_token(api.url, algorithm=algorithm))
    assert (issued.name, issued.kind, issued.role) == ("oidc:github", "service", "ci")
    assert 14 * 60 < (issued.expires_at.timestamp() - time.time()) <= 15 * 60
    with Client(api.url, issued.token) as job:
        assert [model.name for model in job.models.list().items] == ["flights"]
        me = job.tokens.who_am_i()
    assert (me.models, me.grants) == (["flights"], {})
    [entry] = client.audit.list(action="token.exchange")
    assert entry.actor == "oidc:github"
    assert entry.body["claims"]["repository_id"] == "74"
    assert entry.body["claims"]["run_id"] == "1001"


def test_keys_are_asked_for_once_and_rotate(api, issuer, trust, clock):
    trust()
    exchange_id_token(api.url, issuer.id_token(api.url))
    exchange_id_token(api.url, issuer.id_token(api.url))
    assert issuer.asked == 1
    withdrawn = issuer.keys["RS256"]
    issuer.rotate()
    with pytest.raises(NotAllowedError):  # asked a moment ago; not asked again for everybody
        exchange_id_token(api.url, issuer.id_token(api.url))
    clock.now += ASK_AGAIN_SECONDS + 1
    exchange_id_token(api.url, issuer.id_token(api.url))
    assert issuer.asked == 2
    old = issuer.id_token(api.url, kid=withdrawn[0], key=withdrawn[1])
    with pytest.raises(NotAllowedError):
        exchange_id_token(api.url, old)


def test_an_issuer_that_is_away_is_as_one_that_nobody_trusts(
    api, issuer, trust, clock, client, database, caplog
):
    trust()
    issuer.broken = True
    with pytest.raises(NotAllowedError) as away:
        exchange_id_token(api.url, issuer.id_token(api.url), timeout_seconds=5)
    with pytest.raises(NotAllowedError) as unknown:
        exchange_id_token(api.url, issuer.id_token(api.url, iss="https://nobody.example"))
    assert [str(away.value), away.value.code, away.value.status, away.value.hint] == [
        str(unknown.value),
        unknown.value.code,
        unknown.value.status,
        unknown.value.hint,
    ]
    assert "github: the issuer's keys cannot be had now" in caplog.text
    api.app.state.throttle.write_down(database, at_once=True)
    [entry] = client.audit.list(action="access.refused")
    assert entry.body["reasons"] == {
        "github: the issuer's keys cannot be had now": 1,
        "nobody here trusts this issuer": 1,
    }
    issuer.broken = False
    clock.now += ASK_AGAIN_SECONDS + 1
    exchange_id_token(api.url, issuer.id_token(api.url))
    issuer.broken = True
    clock.now += ASK_AGAIN_SECONDS + 1
    exchange_id_token(api.url, issuer.id_token(api.url))  # its keys are known, and young enough
    clock.now += FRESH_SECONDS + 1
    with pytest.raises(NotAllowedError):
        exchange_id_token(api.url, issuer.id_token(api.url))


def test_several_trusts_in_one_issuer(api, issuer, trust):
    trust()
    trust("github-fraud", models=["fraud"])
    with pytest.raises(RefusedError, match="fits several issuers: github, github-fraud"):
        exchange_id_token(api.url, issuer.id_token(api.url))
    issued = exchange_id_token(api.url, issuer.id_token(api.url), issuer="github-fraud")
    assert issued.models == ["fraud"]


def test_a_trust_that_is_taken_back(api, issuer, trust, client):
    trust()
    client.issuers.remove("github")
    assert client.issuers.list() == []
    with pytest.raises(NotAllowedError):
        exchange_id_token(api.url, issuer.id_token(api.url))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"claims": {"repository": ["octo/flights"]}}, "ask for repository_id too"),
        ({"claims": {"ref": ["refs/heads/main"]}}, "no claim says whose pipeline"),
        ({"claims": {"aud": ["x"], "repository_id": ["1"]}}, "aud is checked anyway"),
        (
            {
                "issuer": "https://token.actions.githubusercontent.com",
                "claims": {"sub": ["repo:octo/flights:ref:refs/heads/main"]},
            },
            "no claim says whose pipeline",
        ),
        ({"issuer": "http://ci.example", "private": False}, "no https URL"),
        ({"issuer": "https://ci.example/?a=b"}, "not the plain URL of a host"),
    ],
)
def test_a_trust_that_others_could_come_by_is_refused(trust, wrong, said):
    with pytest.raises(InvalidError, match=said):
        trust(**wrong)


def test_the_issuer_is_not_looked_for_in_our_own_network(api, issuer, trust, caplog):
    trust(issuer="https://169.254.169.254", private=False)
    with pytest.raises(NotAllowedError):
        exchange_id_token(api.url, issuer.id_token(api.url, iss="https://169.254.169.254"))
    assert "private network" in caplog.text


GITHUB_SERVER = {"repository_id": "7", "repository_owner_id": "3", "enterprise_id": "1"}
GITLAB = {
    **dict.fromkeys(REPOSITORY),  # as GitHub's claims are not GitLab's
    "sub": "project_path:risk/flights:ref_type:branch:ref:main",
    "project_id": "12",
    "project_path": "risk/flights",
    "namespace_id": "5",
    "namespace_path": "risk",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "pipeline_id": "99",
    "job_id": "100",
    "user_login": "ada",
}


@pytest.mark.parametrize(
    ("path", "wanted", "claims", "other"),
    [
        ("/_services/token", ["repository_id", "ref"], GITHUB_SERVER, {"repository_id": "8"}),
        ("/_services/token", ["enterprise_id"], GITHUB_SERVER, {"enterprise_id": "2"}),
        ("", ["project_id", "ref_protected"], GITLAB, {"project_id": "13"}),
        ("/gitlab", ["namespace_id", "sub"], GITLAB, {"namespace_id": "6"}),
    ],
)
def test_a_server_of_ones_own(api, client, trust, path, wanted, claims, other):
    """GitHub Enterprise Server lives below a path; GitLab's claims have names of their own."""
    running = RunningIssuer(path)
    running.start()
    try:
        said = {**REPOSITORY, **claims}
        trust("own", issuer=running.url, claims={name: [said[name]] for name in wanted})
        assert exchange_id_token(api.url, running.id_token(api.url, **claims)).name == "oidc:own"
        with pytest.raises(NotAllowedError):
            exchange_id_token(api.url, running.id_token(api.url, **{**claims, **other}))
        [entry] = client.audit.list(action="token.exchange")
        assert entry.body["claims"]["sub"] == said["sub"]
    finally:
        running.stop()


@pytest.mark.parametrize(
    "subject",
    [
        "repo:octo/flights:ref:refs/heads/main",
        "project_path:risk/flights:ref_type:branch:ref:main",
        "repository_owner:octo:environment:production",
    ],
)
def test_a_subject_of_names_is_none_of_ids_on_any_server(trust, subject):
    with pytest.raises(InvalidError, match="no claim says whose pipeline"):
        trust(claims={"sub": [subject]})


@pytest.mark.parametrize("way", ["github", "variable", "file"])
def test_a_job_logs_in_without_a_secret(api, issuer, trust, tmp_path, way):
    trust()
    environ = {name: value for name, value in os.environ.items() if "MLREG" not in name}
    environ["MLREG_CONFIG_DIR"] = str(tmp_path)
    words = ["login", api.url, "--oidc"]
    if way == "github":
        environ["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{issuer.url}/runner?api-version=2"
        environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "the runner's own"
    elif way == "variable":
        environ["MLREG_ID_TOKEN"] = issuer.id_token(api.url)
    else:
        (tmp_path / "id").write_text(issuer.id_token(api.url) + "\n")
        words += ["--file", str(tmp_path / "id")]
    for command in (words, ["whoami", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *command],
            env=environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "oidc:github"
    assert "eyJ" not in (tmp_path / "credentials.json").read_text()
