"""ID tokens of a CI job: where they are found, and their exchange for a token of a server.

What always holds: an ID token is asked for the server's own audience, is sent to that server only,
and is never written anywhere; what comes of it lives a quarter of an hour.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from mlreg.client.connection import open_connection, parse_origin
from mlreg.client.errors import InvalidError, UnreachableError
from mlreg.client.transport import Transport, path
from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import (
    ExchangeRequest,
    IssuedTokenAnswer,
    IssuerAnswer,
    IssuerRequest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "MLREG_ID_TOKEN"
TIMEOUT_SECONDS = 20.0
MAX_BYTES = 64 * 2**10


class Issuers:
    """The issuers whose ID tokens a server takes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, request: IssuerRequest) -> IssuerAnswer:
        """Trust an issuer's ID tokens that claim all of this."""
        return self._transport.post(path("issuers"), request, IssuerAnswer)

    def list(self) -> list[IssuerAnswer]:
        """Return every issuer that is trusted, by name."""
        return self._transport.get(path("issuers"), Page[IssuerAnswer]).items

    def remove(self, name: str) -> None:
        """Trust an issuer no more."""
        self._transport.post(path("issuers", name, "remove"), None, Page[IssuerAnswer])


def exchange_id_token(
    url: str, id_token: str, *, issuer: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> IssuedTokenAnswer:
    """Exchange an ID token at a server for a token of its own.

    Args:
        url: where the server is.
        id_token: as the CI system made it, for the audience that the server expects.
        issuer: the name of the trust, where several would fit.
        timeout_seconds: how long to wait for the answer.

    Raises:
        NotAllowedError: the server does not take this ID token; its log says why.
    """
    transport = Transport(url, "", timeout_seconds=timeout_seconds)
    try:
        body = ExchangeRequest(id_token=id_token, issuer=issuer)
        return transport.post(path("oidc", "exchange"), body, IssuedTokenAnswer)
    finally:
        transport.close()


def find_id_token(
    audience: str,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,  # noqa: TID251 - an edge
) -> str:
    """Return this job's ID token: of a file, of MLREG_ID_TOKEN, or asked of GitHub's runner.

    Raises:
        InvalidError: none is to be found here.
        UnreachableError: the runner did not answer.
    """
    if file is not None:
        return file.read_text(encoding="ascii", errors="replace").strip()
    if given := environ.get(VARIABLE, "").strip():
        return given
    place = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    word = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if place and word:
        return _asked_of_runner(place, word, audience)
    raise InvalidError(
        "this job has no ID token",
        code="no_id_token",
        hint=f"On GitHub set `permissions: id-token: write`; elsewhere set {VARIABLE} or --file.",
    )


def _asked_of_runner(place: str, word: str, audience: str) -> str:
    """Ask GitHub's runner for an ID token (Actions: "OpenID Connect reference")."""
    parts = urlsplit(place)
    joint = "&" if parts.query else "?"
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = open_connection(parse_origin(f"{parts.scheme}://{parts.netloc}"), TIMEOUT_SECONDS)
    try:
        headers = {"Authorization": f"bearer {word}", "Accept": "application/json"}
        connection.request(
            "GET", f"{target}{joint}audience={quote(audience, safe='')}", headers=headers
        )
        body = connection.getresponse().read(MAX_BYTES)
        return str(json.loads(body)["value"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        cause = type(error).__name__
        raise UnreachableError(
            f"the runner gave no ID token: {cause}", code="no_id_token_from_runner"
        ) from error
    finally:
        connection.close()
