import string
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.redaction import (
    _SECRET_ENDS,
    _SECRET_WORDS,
    FORMS,
    REDACTED,
    find_secret,
    is_secret_name,
    redact_lines,
    redact_mapping,
    redact_text,
)

SECRETS = {
    "an AWS access key": "AKIAIOSFODNN7EXAMPLE",
    "a GitHub token": "ghp_" + "a1B2" * 9,
    "a GitLab token": "glpat-" + "x" * 20,
    "a Slack token": "xoxb-12345678901-abcdefghij",
    "a Google key": "AIza" + "Sy" * 17 + "A",
    "an Azure key": "AccountKey=" + "aB3/" * 20 + "==",
    "a key of an AI provider": "sk-ant-api03-" + "a" * 40,
    "a Hugging Face token": "hf_" + "Qw" * 17,
    "a Databricks token": "dapi" + "0a" * 16,
    "a package registry's token": "pypi-" + "AgEIcHlwaS5vcmc" * 5,
    "a Stripe key": "sk_live_" + "4e" * 12,
    "a Vault token": "hvs." + "CAESI" * 6,
    "an mlreg token": "mlr_service_" + "a" * 12 + "_" + "B" * 32 + "_0123abcd",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "an Authorization header": "Authorization: Bearer abc123def456ghi789",
    "a URL with a password": "postgresql://ada:hunter2@db.example/flights",
    "a presigned URL": "https://b.s3/x?X-Amz-Signature=" + "ab12" * 16,
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
}
HARMLESS = (
    "sha256:" + "ab" * 32,
    "a" * 40,
    "git@github.com:house/flights.git",
    "https://github.com/house/flights",
    "http://user@host/x",
    "num_leaves=31 learning_rate=0.05 max_tokens=512",
    "basic-understanding-of-the-model, bearer of bad news about the season",
    "task-risk-sk-learn-something-long-name-here",
    "2013-01-01T00:00:00+00:00",
    "password is mandatory; the secret of the model is its data",
)


@pytest.mark.parametrize(("called", "text"), SECRETS.items())
def test_every_known_form_is_found_and_redacted(called, text):
    around = f"before {text} after"
    assert find_secret(around) == called
    redacted = redact_text(around)
    assert REDACTED in redacted
    assert redacted.startswith("before")
    assert find_secret(redacted) is None
    for part in text.split():
        if len(part) > 15 and not part.startswith(("https://", "postgresql://")):
            assert part not in redacted


def test_every_form_has_an_example():
    assert {form.called for form in FORMS if form.is_token} == set(SECRETS)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text):
    assert find_secret(text) is None
    assert redact_text(text) == text


def test_what_follows_the_word_is_redacted_but_not_refused():
    assert redact_text("db password='hunter2!' ok") == f"db password='{REDACTED}' ok"
    assert redact_text("API_KEY: abcdef123") == f"API_KEY: {REDACTED}"
    assert find_secret("password=hunter22") is None


def test_a_url_keeps_its_host():
    assert redact_text("at postgresql://ada:hunter2@db/x") == f"at postgresql://{REDACTED}@db/x"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "apiKey",
        "API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "hf_token",
        "x-token",
    ],
)
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("words", sorted({*_SECRET_WORDS, *_SECRET_ENDS}))
def test_the_quick_look_at_a_name_passes_over_no_secret_word(words):
    assert is_secret_name(words.replace(" ", "_"))
    assert is_secret_name("my" + words.title().replace(" ", ""))


@pytest.mark.parametrize("name", ["max_tokens", "tokenizer", "monkey", "key", "num_leaves", "seed"])
def test_names_that_are_not_secret(name):
    assert not is_secret_name(name)


def test_a_mapping_is_redacted_by_name_and_by_form_and_says_where():
    token = SECRETS["a GitHub token"]
    given = {
        "num_leaves": 31,
        "db": {"password": "x", "host": "db", "port": 5432},
        "list": ["ok", token],
        "token": None,
        "secrets": ["a", 1],
        token: 1,
    }
    redacted, found = redact_mapping(given)
    assert redacted == {
        "num_leaves": 31,
        "db": {"password": REDACTED, "host": "db", "port": 5432},
        "list": ["ok", REDACTED],
        "token": None,
        "secrets": [REDACTED, 1],
        REDACTED: 1,
    }
    assert found == ["db.password", "list[1]", "secrets[0]", REDACTED]


def test_a_key_over_several_lines_becomes_one_line():
    lines = ["start", *SECRETS["a private key"].split("\n"), "end"]
    assert redact_lines(lines) == ["start", f"{REDACTED} RSA PRIVATE KEY-----", "end"]
    assert redact_lines([]) == []


@given(st.text(alphabet=string.printable, max_size=400))
def test_redacting_twice_changes_nothing_more(text):
    once = redact_text(text)
    assert redact_text(once) == once
    assert find_secret(once) is None


@pytest.mark.parametrize(
    "text",
    [
        "x" * 64_000,
        "password" * 8_000,
        "password=" * 7_000,
        "://a:" * 12_000,
        "bearer " * 9_000,
        "mlr_a_" * 10_000,
        "-----BEGIN A PRIVATE KEY" * 2_500,
        "-----BEGIN PRIVATE KEY--" * 2_500,
        "eyJaaaaaaaaa." * 5_000,
        "eyJaaaaaaaaa-" * 20_000,
        "authorization:" * 4_500,
        "sk-" * 20_000,
        "hooks.slack.com/services/T" * 2_000,
        "secret " + " " * 60_000,
    ],
)
def test_no_text_makes_it_slow(text):
    assert timeit.timeit(lambda: redact_text(text), number=1) < 0.5
