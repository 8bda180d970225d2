"""A real issuer of ID tokens: an HTTP server with discovery and keys, RSA, EC and Ed25519.

It also answers as GitHub's runner does (`/runner`), and can rotate, hide and lie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_NUMBERS = itertools.count(1)
REPOSITORY = {
    "repository": "octo/flights",
    "repository_id": "74",
    "repository_owner": "octo",
    "repository_owner_id": "65",
    "ref": "refs/heads/main",
    "environment": "production",
    "workflow_ref": "octo/flights/.github/workflows/train.yml@refs/heads/main",
    "sha": "a" * 40,
    "run_id": "1001",
    "actor": "ada",
    "sub": "repo:octo/flights:ref:refs/heads/main",
}


class RunningIssuer:
    """An issuer on a free port of 127.0.0.1; `asked` counts the calls for its keys.

    Args:
        path: below which it lives, as GitHub Enterprise Server's does at `/_services/token`.
    """

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.asked = 0
        self.broken = False
        self.keys = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answerer())
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.rotate()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Give the port back, where it was never started."""
        self._server.server_close()

    def rotate(self) -> None:
        """Take three new keys in place of the former ones."""
        number = next(_NUMBERS)
        self.keys = {
            "RS256": (f"rsa-{number}", rsa.generate_private_key(65537, 2048)),
            "ES256": (f"ec-{number}", ec.generate_private_key(ec.SECP256R1())),
            "EdDSA": (f"ed-{number}", ed25519.Ed25519PrivateKey.generate()),
        }

    def id_token(self, audience, *, algorithm="RS256", kid=None, key=None, **claims) -> str:
        """Return an ID token; a claim that is None is left out."""
        own_kid, own_key = self.keys[algorithm]
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300}
        said = {"iss": self.url, "aud": audience, "jti": f"jti-{next(_NUMBERS)}", **times}
        body = {**said, **REPOSITORY, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, key or own_key, algorithm, headers={"kid": kid or own_kid})

    def forged(self, audience, algorithm) -> str:
        """Return a token with `alg` none, or HS256 with the public key as its secret."""
        kid, key = self.keys["RS256"]
        header = {"alg": algorithm, "typ": "JWT", "kid": kid}
        genuine = self.id_token(audience).split(".")[1]
        text = f"{_encoded(json.dumps(header).encode())}.{genuine}"
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed = hmac.new(public, text.encode(), hashlib.sha256).digest()
        return f"{text}.{_encoded(signed) if algorithm.startswith('HS') else ''}"

    def documents(self, path, query):
        path = path.removeprefix(self.path)
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/keys":
            self.asked += 1
            return {"keys": [_public(name, *pair) for name, pair in self.keys.items()]}
        if path == "/runner":
            return {"value": self.id_token(parse_qs(query)["audience"][0])}
        return None

    def _answerer(self):
        issuer = self

        class Answerer(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                found = None if issuer.broken else issuer.documents(parts.path, parts.query)
                body = json.dumps(found).encode()
                self.send_response(503 if issuer.broken else 200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Answerer


def _public(algorithm, kid, key):
    makers = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    form = json.loads(makers[algorithm].to_jwk(key.public_key()))
    return {**form, "kid": kid, "use": "sig", "alg": algorithm}


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
