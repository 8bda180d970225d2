"""An MLflow server that means harm: every answer is what a test says, byte by byte if need be."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

API = "/api/2.0/mlflow"
VERSION = {
    "name": "churn",
    "version": "1",
    "creation_timestamp": 1_767_225_600_000,
    "source": "runs:/r1/model",
    "run_id": "r1",
    "status": "READY",
}


class HostileMlflow:
    """Answers well, with one version of one file, but where a test put something else.

    `answers[place]` is JSON, bytes, or a function of the query that returns either; `drips` are
    places whose answer comes a byte every hundredth of a second, from its first line on.
    """

    def __init__(self):
        self.answers = {
            f"{API}/registered-models/get": {"registered_model": {"aliases": []}},
            f"{API}/model-versions/search": {"model_versions": [VERSION]},
            f"{API}/runs/get": {"run": {"info": {"run_id": "r1"}, "data": {}}},
            f"{API}/artifacts/list": {"files": [{"path": "model/model.bin", "file_size": 7}]},
            "/get-artifact": b"weights",
        }
        self.location = ""
        self.drips = set()
        self.asked = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answerer(self))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # who was bored went away
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def start(self):
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answerer(server):
    class Answerer(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            server.asked.append(parts.path)
            found = server.answers.get(parts.path, {})
            if callable(found):
                found = found(parse_qs(parts.query))
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            status = f"{302 if server.location else 200} said"
            place = f"Location: {server.location}\r\n" if server.location else ""
            head = f"HTTP/1.1 {status}\r\n{place}Content-Length: {len(body)}\r\n\r\n".encode()
            if parts.path in server.drips:
                for byte in head + body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.01)
                return
            self.wfile.write(head + body)

        def log_message(self, *_):
            pass

    return Answerer
