"""Secrets in text: which forms are known, and what stands in their place.

What always holds: pure; a redacted text has no match left; what was found is never part of a
message, only what kind it is. A text that merely *looks* random is left alone: digests, commits and
ids are no secrets. Three rules, for three places:

- a text in the form of a known token is a secret wherever it stands (`find_secret`);
- a text under a name such as `password`, `api_key` or `auth_token` is one, whatever its form;
- in free text, what follows `password=` is one as well, but only to be redacted, not refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

REDACTED = "[redacted]"


@dataclass(frozen=True)
class Form:
    """One known form of a secret.

    Attributes:
        called: what a message calls it.
        hints: lower-case texts of which one is in every text that has a match: the quick look.
        pattern: the expression; what its group `keep` matches stays.
        is_token: whether it is sure enough that a server refuses it.
    """

    called: str
    hints: tuple[str, ...]
    pattern: str
    is_token: bool = True

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern, made at its first use."""
        return re.compile(self.pattern)

    def is_hinted(self, folded: str) -> bool:
        """Whether a text in lower case may have a match."""
        return any(map(folded.__contains__, self.hints))


FORMS = (
    Form(
        "a private key",
        ("private key--",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[^-]*(?:-----END)?",
    ),
    Form("an mlreg token", ("mlr_",), r"\bmlr_[a-z]{1,20}_[0-9A-Za-z]{6,64}_[0-9A-Za-z_]{16,}"),
    Form(
        "an AWS access key",
        ("akia", "asia", "abia", "acca"),
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    ),
    Form(
        "a GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{60,})",
    ),
    Form(
        "a GitLab token",
        ("glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-"),
        r"\bgl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[0-9A-Za-z_-]{20,}",
    ),
    Form(
        "a Slack token",
        ("xox", "xapp-", "hooks.slack.com"),
        r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}|\bxapp-\d-[0-9A-Za-z-]{10,}"
        r"|hooks\.slack\.com/services/T\w+/B\w+/\w{12,}",
    ),
    Form(
        "a Google key",
        ("aiza", "ya29.", "gocspx-"),
        r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}",
    ),
    Form(
        "an Azure key",
        ("accountkey=", "sharedaccesskey=", "sig="),
        r"\b(?:AccountKey|SharedAccessKey)=[0-9A-Za-z+/]{40,}={0,2}|[?&]sig=[0-9A-Za-z%+/]{40,}",
    ),
    Form(
        "a key of an AI provider",
        ("sk-",),
        r"\bsk-(?:(?:ant|proj|svcacct)-[0-9A-Za-z_-]{20,}|[0-9A-Za-z]{32,})",
    ),
    Form("a Hugging Face token", ("hf_",), r"\bhf_[0-9A-Za-z]{30,}"),
    Form("a Databricks token", ("dapi",), r"\bdapi[0-9a-f]{32}"),
    Form(
        "a package registry's token",
        ("npm_", "pypi-"),
        r"\bnpm_[0-9A-Za-z]{36}|\bpypi-[0-9A-Za-z_-]{50,}",
    ),
    Form("a Stripe key", ("k_live_", "k_test_"), r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    Form("a Vault token", ("hvs.", "hvb.", "hvr."), r"\bhv[sbr]\.[0-9A-Za-z_-]{20,}"),
    Form(
        "a JSON web token",
        ("eyj",),
        # The look ahead makes one try per run of letters, or each `-eyJ` would read to its end.
        r"(?<![0-9A-Za-z_-])(?=[0-9A-Za-z_-]+\.eyJ[0-9A-Za-z_-]{8,}\.)"
        r"(?P<keep>(?:[0-9A-Za-z_]*-)*?)eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*",
    ),
    Form(
        "an Authorization header",
        ("bearer", "authorization"),
        r"(?i)(?P<keep>\bbearer\s+)(?=[^\s\d]{0,60}\d)[\w.~+/-]{16,}=*"
        r"|\bauthorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token)\s+[\w.~+/-]{8,}=*",
    ),
    Form("a URL with a password", ("://",), r"(?<=://)[^\s/:@?#]{0,256}:[^\s/@?#]{1,256}(?=@)"),
    Form(
        "a presigned URL",
        ("x-amz-s",),
        r"(?i)(?P<keep>X-Amz-(?:Signature|Security-Token)=)[\w%/+=-]{16,}",
    ),
    Form(
        "a password",
        ("password", "passwd", "secret", "apikey", "api_key", "access_key", "token"),
        r"(?i)(?P<keep>(?:password|passwd|secret|api_?key|access_?key|auth_?token)[\"']?\s{0,8}"
        r"[=:]\s{0,8}[\"']?)[^\s\"',;&\[\]{}()]{6,}",
        is_token=False,
    ),
)
_HINTS = tuple(hint for form in FORMS for hint in form.hints)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_SECRET_WORDS = frozenset(
    {
        *("password", "passwd", "passphrase", "pwd", "secret", "secrets"),
        *("credential", "credentials", "apikey", "authorization", "dsn"),
    }
)
_SECRET_ENDS = (
    *("token", "api key", "access key", "private key", "account key", "signing key"),
    *("encryption key", "connection string", "bearer", "cookie"),
)
_SECRET_PARTS = (
    *("pass", "pwd", "secret", "credential", "key", "authorization", "dsn", "token"),
    *("string", "bearer", "cookie"),
)
"""Of which one is in every name that is meant to be secret, in lower case: the quick look."""


def find_secret(text: str) -> str | None:
    """Return what kind of token a text has in it ("a GitHub token"), None when it has none."""
    folded = text.lower()
    for form in FORMS:
        if form.is_token and form.is_hinted(folded) and form.expression.search(text):
            return form.called
    return None


def redact_text(text: str) -> str:
    """Return a text with `[redacted]` in the place of every secret."""
    folded = text.lower()
    if not any(map(folded.__contains__, _HINTS)):
        return text
    for form in FORMS:
        if form.is_hinted(folded):
            text = form.expression.sub(_replacement, text)
    return text


def redact_lines(lines: Sequence[str]) -> list[str]:
    """Return lines of a log without secrets; one that spans several lines becomes one line."""
    return redact_text("\n".join(lines)).split("\n") if lines else []


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is meant to be secret: `db_password`, `apiKey`."""
    if not any(map(name.lower().__contains__, _SECRET_PARTS)):
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or " ".join(words).endswith(_SECRET_ENDS)


def redact_mapping(mapping: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return a JSON mapping without its secrets, and the places where they stood.

    A place is the path of names, `db.password`; names that are secrets themselves are redacted too.
    Numbers, booleans and null are never secrets: `max_tokens: 512` stays.
    """
    found: list[str] = []
    return _mapping(mapping, "", found), found


def _mapping(mapping: Mapping[str, object], place: str, found: list[str]) -> dict[str, object]:
    redacted: dict[str, object] = {}
    for name, value in mapping.items():
        shown = redact_text(str(name))
        if shown != name:
            found.append(place + shown)
        redacted[shown] = _value(value, place + shown, found, secret=is_secret_name(str(name)))
    return redacted


def _value(value: object, place: str, found: list[str], *, secret: bool) -> object:
    if isinstance(value, str):
        redacted = REDACTED if secret and value else redact_text(value)
        if redacted != value:
            found.append(place)
        return redacted
    if isinstance(value, Mapping):
        return _mapping(value, f"{place}.", found)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [
            _value(item, f"{place}[{index}]", found, secret=secret)
            for index, item in enumerate(value)
        ]
    return value


def _replacement(match: re.Match[str]) -> str:
    return (match.groupdict().get("keep") or "") + REDACTED
