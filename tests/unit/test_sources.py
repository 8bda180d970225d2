"""Names of sources, their rules in a policy, and what stands in a query."""

from dataclasses import asdict

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.controller.domain.connections import (
    ConnectionNotFoundError,
    SourceNotAllowedError,
)
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.query import parameters_of, with_parameters
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.sources import (
    FrozenFile,
    FrozenSource,
    InvalidSourceError,
    fixed_part,
    parse_place,
    parse_source,
    pattern_of,
)
from mlreg.controller.services.policies import parse_policy
from mlreg.controller.sources.sql import connected
from tests.source_makers import COLUMNS, WEEK, connections_of

POLICY = """
model: churn
data:
  source: "s3://lake/events/*.parquet"
  time: event_time
  label: churned
  entity: customer
  weight: w
  features: {temp: temperature}
triggers: [{schedule: "0 3 * * *"}]
"""
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "kind", "url", "version"),
    [
        ("/data/x/*.parquet", "parquet", "file:///data/x/*.parquet", None),
        ("file:///data/x", "parquet", "file:///data/x", None),
        ("s3://lake/x/**/*.parquet", "parquet", "s3://lake/x/**/*.parquet", None),
        ("delta:/data/table/", "delta", "file:///data/table", None),
        ("delta:s3://lake/table@12", "delta", "s3://lake/table", 12),
    ],
)
def test_what_a_text_names(text, kind, url, version):
    found = parse_source(text)
    assert (found.kind, found.url, found.version) == (kind, url, version)
    assert parse_source(found.spelt) == found


def test_a_query_names_its_connection():
    found = parse_source("sql:warehouse: SELECT 1 ; ")
    assert (found.kind, found.connection, found.query) == ("sql", "warehouse", "SELECT 1")
    assert parse_source(found.spelt) == found
    assert parse_source("feedback") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data/x.parquet",
        "http://169.254.169.254/x.parquet",
        "s3:///x",
        "s3://",
        "file://host/x",
        "file:///",
        "/data/../etc/*.parquet",
        "/data/./x",
        "/data//x",
        "/data/x\x00.parquet",
        "s3://lake/..\\x",
        "/data/[b-a].parquet",
        "delta:",
        "delta:/data/*",
        "sql:SELECT 1",
        "sql:warehouse:",
        "sql:postgresql://user:password@host/db: SELECT 1",
        "s3://lake/" + "x" * 30_000,
    ],
)
def test_what_names_nothing(text):
    with pytest.raises(InvalidSourceError):
        parse_source(text)


@pytest.mark.parametrize(
    ("url", "yes", "no"),
    [
        ("/d/*.parquet", ["/d/a.parquet"], ["/d/a/b.parquet", "/d/a.csv", "/e/a.parquet"]),
        ("/d", ["/d/a.parquet", "/d/a/b=1/c.parquet"], ["/d/a.csv", "/dd/a.parquet"]),
        ("/d/a.parquet", ["/d/a.parquet"], ["/d/aXparquet", "/d/a.parquet/b"]),
        ("/d/**/x-?.parquet", ["/d/x-1.parquet", "/d/e/f/x-2.parquet"], ["/d/x-12.parquet"]),
        ("/d/[ab].parquet", ["/d/a.parquet"], ["/d/c.parquet"]),
        ("/d/[!ab].parquet", ["/d/c.parquet"], ["/d/a.parquet", "/d//.parquet"]),
        ("/d/[+--].parquet", ["/d/,.parquet", "/d/-.parquet"], ["/d/a.parquet"]),
        ("/d/[a-c--].parquet", ["/d/b.parquet", "/d/-.parquet"], ["/d/+.parquet"]),
        ("/d/(x|y)+.parquet", ["/d/(x|y)+.parquet"], ["/d/x.parquet"]),
    ],
)
def test_what_a_pattern_matches(url, yes, no):
    pattern = pattern_of(parse_place(url))
    assert [one for one in [*yes, *no] if pattern.fullmatch(f"file://{one}")] == yes


@given(st.text(alphabet="ab/*?[]!().^$-", max_size=20))
def test_no_pattern_breaks(text):
    try:
        url = parse_source(f"/{text}").url
    except InvalidSourceError:
        return
    assert url.startswith(fixed_part(url))


def test_the_narrowest_connection_covers():
    lake = {"kind": "s3", "url": "s3://lake"}
    connections = connections_of(lake=lake, raw={**lake, "url": "s3://lake/raw"})
    assert connections.covering("s3://lake/raw/x", "churn")[0] == "raw"
    assert connections.covering("s3://lake/rawer/x", "churn")[0] == "lake"
    assert connections.covering("s3://lake/raw/x", "churn", "lake")[0] == "lake"
    with pytest.raises(SourceNotAllowedError):
        connections.covering("s3://lakes/x", "churn")
    with pytest.raises(SourceNotAllowedError):
        connections.covering(fixed_part("s3://la*/x"), "churn")
    with pytest.raises(ConnectionNotFoundError):
        connections.covering("s3://lake/raw/x", "churn", "none")
    with pytest.raises(ConnectionNotFoundError):
        connections.postgres("lake", "churn")


def test_a_connection_never_shows_its_secrets():
    found = connections_of(
        lake={"kind": "s3", "url": "s3://lake", "secret_access_key": "hidden-one"},
        warehouse={"kind": "postgres", "url": "postgresql://me:hidden-two@host/db"},
    )
    assert "hidden" not in f"{found!r} {found}"


@pytest.mark.parametrize(
    "password", ["hid%zzden", "hid den", "hid@den", "hidden@[::1", "hid%00den"]
)
def test_a_password_that_is_spelt_wrong_is_not_shown(password):
    url = f"postgresql://me:{password}@127.0.0.1:1/db"
    warehouse = connections_of(warehouse={"kind": "postgres", "url": url})
    limits = warehouse.postgres("warehouse", "churn")
    with pytest.raises(psycopg.Error) as refused, connected(limits):
        pass
    assert "its URL cannot be read" in str(refused.value)
    assert "hid" not in str(refused.value)
    assert "den" not in str(refused.value)


def test_a_policy_says_which_column_stands_for_what():
    data = parse_policy(POLICY).data
    dtypes = [(one.name, one.dtype) for one in COLUMNS.features]
    assert data.columns_for(dtypes) == COLUMNS
    assert data.source_name.url == "s3://lake/events/*.parquet"
    assert DataRule.model_validate(data.model_dump(mode="json")) == data


def test_a_policy_of_the_log_says_nothing_of_sources():
    assert set(DataRule().model_dump(mode="json")) == {
        "source",
        "train_window",
        "evaluate_window",
        "label_delay",
        "window",
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("s3://lake/events/*.parquet", "ftp://x", "line 4: data.source: 'ftp://x' is no source"),
        ("s3://lake/events/*.parquet", "feedback", "line 3: data: time is for a source beside"),
        ("weight: w", "weigth: w", "line 8: data.weigth: unknown key"),
        ("weight: w", "timezone: Mars", "line 8: data.timezone: 'Mars' is no time zone"),
        ("weight: w", "sql: {connection: w, query: SELECT 1}", "source and sql both say"),
        ("{temp: temperature}", "[temp]", "line 9: data.features"),
    ],
)
def test_what_a_policy_may_not_say(old, new, problem):
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(POLICY.replace(old, new))
    assert problem in str(caught.value)


def test_a_query_in_a_policy_by_its_own_key():
    rule = DataRule.model_validate({"sql": {"connection": "w", "query": "SELECT 1;"}})
    assert rule.source_name == parse_source("sql:w: SELECT 1")
    with pytest.raises(ValidationError, match="a query names its own"):
        DataRule.model_validate({"source": "sql:w: SELECT 1", "connection": "w"})


@pytest.mark.parametrize(
    ("query", "sent", "asked"),
    [
        ("t >= :start AND t<:end", "t >= %(start)s AND t<%(end)s", {"start", "end"}),
        ("':start' || \":end\"", "':start' || \":end\"", set()),
        ("x::text, ::start", "x::text, ::start", set()),
        ("-- :start\n:end", "-- :start\n%(end)s", {"end"}),
        ("/* :start */ :ending", "/* :start */ :ending", set()),
        ("a LIKE '5%' AND b % 2", "a LIKE '5%%' AND b %% 2", set()),
        ("$q$ :start $q$", "$q$ :start $q$", set()),
        (r"E'it\'s :start' :start", r"E'it\'s :start' %(start)s", {"start"}),
        ("'it''s :start'", "'it''s :start'", set()),
    ],
)
def test_parameters_of_a_query(query, sent, asked):
    assert with_parameters(query) == sent
    assert parameters_of(query) == asked


def test_a_snapshot_of_a_source_has_a_name_of_its_own():
    files = (FrozenFile("file:///d/a.parquet", 5, DIGEST, 2, (("day", None), ("hour", "3"))),)
    source = FrozenSource("parquet", "/d", "lake", COLUMNS, files)
    body = SnapshotBody.of_source("churn", source, WEEK)
    assert SnapshotBody.from_json(body.to_json()) == body
    assert (body.segments, body.blobs, body.is_empty) == ((), (), False)
    other = SnapshotBody.of_source("churn", FrozenSource(**{**_parts(source), "files": ()}), WEEK)
    assert other.is_empty
    assert other.digest != body.digest


def _parts(source):
    return {**{name: getattr(source, name) for name in asdict(source)}}
