"""Fault 34: whatever is sent to a real server, it answers below 500, as documented, and lives.

Schemathesis makes requests from the server's own OpenAPI document; the corpus is what it would not
think of. MLflow answered such input with raw SQL, a dead worker, or a file of the server's own.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

from tests.schema_forms import bodies_of
from tests.servers.running import RunningMlreg
from tests.servers.whole_api import Knocker

MAX_RESIDENT_MIB = 300
SECONDS = 15
NIGHTLY_SECONDS = 600
ENOUGH = 100  # requests that passed
CHECKS = "not_a_server_error,status_code_conformance"
JSON = {"Content-Type": "application/json"}
HUGE_BYTES = 50 * 2**20
DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "NaN": b'{"x": NaN}',
    "infinity": b'{"x": -Infinity}',
    "1e999": b'{"x": 1e999}',
    "NUL": b'{"x": "\\u0000"}',
    "raw NUL": b'{"x": "\x00"}',
    "surrogate": b'{"x": "\\ud800"}',
    "key that is a surrogate": b'{"\\udfff": 1}',
    "bidi": '{"x": "\u202ebin"}'.encode(),
    "depth": DEEP,
    "deep objects": b'{"x":' * 20_000 + b"1" + b"}" * 20_000,
    "duplicate keys": b'{"name": "a", "name": "b"}',
    "int64": b'{"x": 9223372036854775808}',
    "a million digits": b'{"x": ' + b"9" * 1_000_000 + b"}",
    "many keys": json.dumps({str(number): 1 for number in range(20_000)}).encode(),
    "not UTF-8": b'{"x": "\xff\xfe"}',
    "UTF-16": '{"x": 1}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf{"x": 1}',
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "number": b"1",
    "cut": b'{"x": ',
    "prototype": b'{"__proto__": {"x": 1}, "__class__": 1, "constructor": 1}',
}
TEXTS = (
    "\u0430dmin",  # a Cyrillic a
    "ﬂights",
    "e\u0301",
    "../../../../etc/passwd",
    "..\\..\\x",
    "file:///etc/passwd",
    "a" * 70_000,
    "{{7*7}}",
    "${jndi:ldap://x}",
    "'; DROP TABLE model; --",
    "%s%n",
    "-1",
    "CON",
    "\U0001f600",
    "a\r\nSet-Cookie: x=1",
    " ",
)
NUMBERS = (0, -1, 2**31, 2**63 - 1, -(2**63), 1.5, 1e308, True, "1", None, [], {})
SEGMENTS = (
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e",
    "..%252f..%252fetc",
    "..%c0%af..%c0%af",
    "%c0%ae%c0%ae",
    "..%5c..%5c",
    "..;",
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:x",
    "%ff%fe",
    "%ED%A0%80",
    "%E2%80%AE",
    quote("\u0430dmin"),
    quote("ﬂights"),
    "%",
    "%zz",
    "*",
    "'",
    "-1",
    "0",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "1e5",
    "1.5",
    "0x1",
    quote("\u0661"),
    "true",
    "a" * 5_000,
)
QUERIES = (
    "limit=-1&before=0&after=-1",
    "limit=99999999999999999999&before=9223372036854775808",
    "cursor=%00&q=%00",
    "cursor=x&q=((((((((&model=..%2f&subject=%ff&time=0&since=x&until=x",
    "q=" + "-" * 3_000,
    "q=metric.auc%3E%3D1e999&cursor=" + "A" * 3_000,
    "limit=1&limit=2&q=a&q=b",
    "time=9999-12-31T23:59:59%2B23:59&after=0001-01-01T00:00:00Z&until=+262143-01-01T00:00:00Z",
)


@pytest.fixture(scope="module")
def server():
    """A server of this module's own: what is sent here would spoil a shared one."""
    running = RunningMlreg()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def knocker(server):
    made = Knocker(server.url, server.token)
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(server):
    knocker = Knocker(server.url, server.token)
    found = json.loads(knocker("GET", "/api/v1/openapi.json").body)
    knocker.close()
    return found


@pytest.fixture(autouse=True)
def alive(server):
    """After each test: no bug was met, the server lives, and its memory stayed small."""
    yield
    log = (server.data / "logs" / "api.log").read_text(errors="replace")
    assert "unexpected error" not in log, log[log.find("unexpected error") :][:3_000]
    knocker = Knocker(server.url, None)
    assert knocker("GET", "/readyz").status == 200
    knocker.close()
    assert peak_mib(server) < MAX_RESIDENT_MIB


def peak_mib(server):
    """Return the most memory that the API's process ever had resident."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    [api] = [child for child in children if "serve" in child.cmdline()]
    status = Path(f"/proc/{api.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def check(got, *said):
    assert got.status < 500, (*said, got.body)
    if got.status >= 400 and "text/html" not in got.headers.get("content-type", ""):
        assert got.problem.get("code") or not got.body, (*said, got.status, got.body)


def test_the_corpus_of_bodies(document, knocker):
    for method, path in bodies_of(document):
        place = re.sub(r"\{\w+\}", "1", path)
        for kind, body in BODIES.items():
            got = knocker(method, place, body, {**JSON, "If-Match": "*"})
            check(got, method, path, kind)
            assert got.status >= 400 or kind in {"nothing", "null"}, (path, kind, got.body)


def test_the_corpus_of_fields(document, knocker):
    """Each field of each body, one after the other, is something else."""
    for (method, path), body in bodies_of(document).items():
        place = re.sub(r"\{\w+\}", "x" if "{model}" in path else "1", path)
        for name in body if isinstance(body, dict) else ():
            for value in TEXTS if isinstance(body[name], str) else NUMBERS:
                got = knocker(method, place, {**body, name: value}, {"If-Match": "*"})
                check(got, method, path, name, value)


def test_the_corpus_of_paths(document, knocker):
    for path, item in document["paths"].items():
        for method in item:
            for name in re.findall(r"\{(\w+)\}", path):
                for segment in SEGMENTS:
                    place = path.replace(f"{{{name}}}", segment)
                    place = re.sub(r"\{\w+\}", "1", place)
                    body = None if method == "get" else {}
                    got = knocker(method.upper(), place, body, {"If-Match": "*"})
                    check(got, method, place)
                    assert b"root:" not in got.body


def test_the_corpus_of_queries(document, knocker):
    for path, item in document["paths"].items():
        if "get" in item:
            for query in QUERIES:
                got = knocker("GET", f"{re.sub(r'{[^}]+}', '1', path)}?{query}")
                check(got, path, query)


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "\xff"},
        {"If-Match": '"' + "9" * 40 + '"'},
        {"If-Match": '"x-2147483648"'},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "a" * 300},
        {"Idempotency-Key": "\xe9"},
        {"Range": "bytes=0-" + ",0-" * 2_000},
        {"Cookie": "mlreg_session=" + "=;" * 1_000},
        {"Accept": "\xff/*"},
        {"Content-Type": "application/json; charset=utf-7"},
        {"Content-Type": "application/json" + ";" * 5_000},
        {"Content-Encoding": "gzip"},
        {"X-Forwarded-For": "\xff" * 500},
    ],
)
def test_headers(knocker, headers):
    form = {"name": "x", "target": {"task": "binary"}}
    place = "/api/v1/models/x/deployments/production/promote"
    for path, body in (("/api/v1/models", form), (place, {"version": 1})):
        got = knocker("POST", path, json.dumps(body), {**JSON, "If-Match": "*", **headers})
        check(got, path, headers)
    check(knocker("GET", "/", headers=headers), "/", headers)


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(
    "path",
    ["/api/v1/models", "/api/v1/oidc/exchange", "/login", "/api/v1/models/x/versions"],
)
def test_fifty_megabytes(server, path, said):
    """Announced or not, they are refused while they come, and never held."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
    headers = {"Content-Type": kind, "Authorization": f"Bearer {server.token}"}
    if said:
        headers["Content-Length"] = str(HUGE_BYTES)
    pieces = (b"a" * 2**16 for _ in range(HUGE_BYTES // 2**16))
    try:
        connection.request("POST", path, pieces, headers, encode_chunked=not said)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it hung up on us before the end, which is as good
    finally:
        connection.close()


def run_schemathesis(server, folder, seconds, seed):
    """Run it for so long; `revoke` is left out, it would throw its own token away."""
    words = [
        *(Path(sys.executable).with_name("st"), "run", f"{server.url}/api/v1/openapi.json"),
        *("-H", f"Authorization: Bearer {server.token}"),
        # one thread: its parser of lambdas is not safe in two (python/cpython#106905)
        *("--checks", CHECKS, "--continue-on-failure", "--no-color", "--workers", "1"),
        *("--max-time", str(seconds), "--max-examples", "2" if seconds < 60 else "50"),
        *("--seed", str(seed), "--exclude-path-regex", "/revoke$"),
        *("--suppress-health-check", "all"),  # they are about this machine's speed, not the server
    ]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=seconds + 120, check=False
    )


def check_run(done):
    report = re.sub(r"(%[0-9A-F]{2}){20,}", "…", done.stdout)
    first = re.search(r"=== (?:FAILURES|ERRORS) ===", report)
    assert done.returncode == 0, report[first.start() if first else 0 :][:5_000]
    return int(re.search(r"\d+ generated, (\d+) passed", report)[1])


def test_schemathesis(server, tmp_path):
    passed, seed = 0, 34
    while passed < ENOUGH:  # once, where the machine has nothing else to do
        assert seed < 40, f"no more than {passed} passed"
        passed += check_run(run_schemathesis(server, tmp_path, SECONDS, seed))
        seed += 1


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_schemathesis_at_length(server, tmp_path):
    assert check_run(run_schemathesis(server, tmp_path, NIGHTLY_SECONDS, 3434)) > ENOUGH
