"""A receiver of webhooks: HTTPS on 127.0.0.1, under a certificate authority of the test's own."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "hooks.test")
DRIP_SECONDS, PIECES = 50.0, 1_000


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers every POST with the next of `statuses`, then with 200."""

    folder: Path
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    location: str = ""

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file, certificate, key = write_certificates(self.folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # a client that does not trust us goes away
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def place(self):
        return f"localhost:{self.port}"

    @property
    def url(self):
        return f"https://{self.place}/hook?of=test"

    @property
    def bodies(self):
        return [one.json for one in self.received]


def _handler_of(receiver):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            if self.path in {"/drip", "/flood"}:
                self._go_on()
                return
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def _go_on(self):
            """Answer slowly, or for ever, until the other side has had enough."""
            if self.path == "/flood":
                self.send_response(200)
                self.end_headers()
            for _ in range(PIECES):
                self.wfile.write(b"H" if self.path == "/drip" else bytes(65_536))
                time.sleep(DRIP_SECONDS / PIECES if self.path == "/drip" else 0)

        def log_message(self, *_):
            pass

    return Handler


def write_certificates(folder):
    """Make an authority and a certificate by it; return the three files."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("mlreg test authority", authority_key, None, authority_key)
    certificate = _certificate("localhost", key, authority, authority_key)
    files = folder / "ca.pem", folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _certificate(name, key, issuer, issuer_key):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(one) for one in NAMES])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
