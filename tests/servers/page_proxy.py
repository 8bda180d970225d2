"""A proxy that lets a real browser see the dashboard, and notices whatever runs in its pages.

It adds the cookie of a log-in, serves all pages in frames of one page (`/frames`), and takes away
the headers that keep scripts from running and pages from being framed (`bare`), so that what is
tested is the escaping alone. A request of `/pwned…` is remembered: something ran, or was loaded.
"""

from __future__ import annotations

import http.client
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHIELDS = {"content-security-policy", "x-frame-options", "x-content-type-options"}


class PageProxy:
    """Serves `api`'s pages on a port of its own."""

    def __init__(self, api_address, cookie, pages, *, bare) -> None:
        self.pwned = []
        self.seen = []
        self.failed = []
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), self._handler(api_address, cookie, pages, bare)
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(proxy, address, cookie, pages, bare):  # noqa: C901, N805 - two selves, one class
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path.startswith("/pwned"):
                    proxy.pwned.append(self.path)
                if self.path == "/frames":
                    frames = "".join(f'<iframe src="{escape(page)}"></iframe>' for page in pages)
                    self._answer(200, [("content-type", "text/html")], frames.encode())
                    return
                upstream = http.client.HTTPConnection(*address, timeout=20)
                headers = {"Host": f"{address[0]}:{address[1]}", "Cookie": cookie}
                upstream.request("GET", self.path, headers={**headers, "Accept": "text/html"})
                got = upstream.getresponse()
                body = got.read()
                upstream.close()
                proxy.seen.append(self.path)
                if got.status >= 500:
                    proxy.failed.append(self.path)
                kept = [
                    (name, value)
                    for name, value in got.getheaders()
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}
                    and not (bare and name.lower() in SHIELDS)
                ]
                self._answer(got.status, kept, body)

            def do_POST(self):
                proxy.pwned.append(f"POST {self.path}")
                self._answer(200, [], b"")

            def _answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
