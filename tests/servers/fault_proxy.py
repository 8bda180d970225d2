"""A proxy in front of an S3 server that breaks what it is told to break, byte by byte.

Faults: `flip_request` and `flip_response` (one bit of one byte in the middle of the body),
`cut_request` and `grow_request` (a body of a wrong length that is announced honestly),
`truncate` (half a body under the full length), `short` and `long` (a body of a wrong length that is
announced honestly), `status` (an answer from nobody), `reset`, `stall` (silence for `seconds`).
A fault passes over the first `after` requests that fit, then takes a `share` of them at random.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass
class Fault:
    kind: str
    method: str = "GET"
    path: str = "/blobs/"
    times: int = 1
    status: int = 500
    seconds: float = 0.0
    after: int = 0
    share: float = 1.0
    done: int = 0


class FaultProxy:
    """Forwards everything; faults apply in order, each to its next `times` matching requests."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.target = (parts.hostname, parts.port)
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def inject(self, kind: str, **more) -> Fault:
        fault = Fault(kind, **more)
        self.faults.append(fault)
        return fault

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for a request, if one is left."""
        with self._lock:
            self.seen.append(f"{method} {path}")
            for fault in self.faults:
                if fault.method in {method, "*"} and fault.path in path:
                    if fault.after > 0:
                        fault.after -= 1
                    elif fault.done < fault.times and random.random() < fault.share:
                        fault.done += 1
                        return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.proxy.take(self.command, self.path)
        kind = fault.kind if fault else ""
        if kind == "stall":
            time.sleep(fault.seconds)
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        elif kind == "status":
            self.answer(fault.status, [("Content-Length", "0")], b"")
        else:
            change = REQUEST_CHANGES.get(kind)
            self.relay(change(body) if change else body, kind)

    def relay(self, body: bytes, kind: str) -> None:
        connection = http.client.HTTPConnection(*self.server.proxy.target, timeout=30)
        try:
            status, headers, content = self.asked(connection, body)
        except (OSError, http.client.HTTPException):  # as if there were no proxy
            self.close_connection = True
            return
        finally:
            connection.close()
        change = CHANGES.get(kind)
        self.answer(status, headers, change(content) if change else content, kind)

    def asked(self, connection, body: bytes):
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() == "content-length":
                connection.putheader(name, str(len(body)))
            elif name.lower() not in HOP:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in HOP]
        return response.status, headers, content

    def answer(self, status: int, headers, content: bytes, kind: str = "") -> None:
        has_body = self.command != "HEAD" and status not in {204, 304}
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length" or not has_body:
                self.send_header(name, value)
        if has_body:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind == "truncate":
            self.close_connection = True
            content = content[: len(content) // 2]
        if has_body:
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - http.server's names

    def log_message(self, *_) -> None:
        pass


def flipped(content: bytes) -> bytes:
    """Return the bytes with one bit of the middle one changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


CHANGES = {
    "flip_response": flipped,
    "short": lambda content: content[: len(content) // 2],
    "long": lambda content: content + b"more",
}
REQUEST_CHANGES = {
    "flip_request": flipped,
    "cut_request": lambda content: content[: len(content) // 2],
    "grow_request": lambda content: content + b"more",
}
