"""A cable between a process and PostgreSQL that can be cut: nothing arrives, and nobody is told."""

from __future__ import annotations

import selectors
import socket
import threading


class Cable:
    """A TCP port that leads to the server's socket; `cut` holds back every byte, `mend` lets go."""

    def __init__(self, socket_folder, port=5432):
        self._target = f"{socket_folder}/.s.PGSQL.{port}"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._whole, self._stop = threading.Event(), threading.Event()
        self._whole.set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def url(self, database, user):
        port = self._listening.getsockname()[1]
        return f"postgresql+psycopg://{user}@127.0.0.1:{port}/{database}"

    def cut(self):
        self._whole.clear()

    def mend(self):
        self._whole.set()

    def close(self):
        self._stop.set()
        self._whole.set()
        self._listening.close()

    def _accept(self):
        while not self._stop.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[near], daemon=True).start()

    def _carry(self, near):
        with near, socket.socket(socket.AF_UNIX) as far, selectors.DefaultSelector() as selector:
            far.connect(self._target)
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not self._stop.is_set():
                for key, _ in selector.select(timeout=0.1):
                    if not self._pass_on(key.fileobj, key.data):
                        return

    def _pass_on(self, one, other):
        """Carry what one end said; False when an end is gone, as may be while the cable is cut."""
        try:
            content = one.recv(65536)
            self._whole.wait()
            other.sendall(content)
        except OSError:
            return False
        return bool(content)
