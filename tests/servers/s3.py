"""Real S3 servers as child processes: `rclone serve s3` (auth, real bytes) and `moto_server`."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3

from mlreg.registry.artifacts.s3 import S3Store
from mlreg.registry.artifacts.settings import S3Settings
from tests.servers.ports import free_port

BUCKET = "mlreg"
ACCESS_KEY_ID = "mlreg-access-key"  # rclone refuses very short keys
SECRET_ACCESS_KEY = "mlreg-secret-access-key"
START_SECONDS = 120
_PREFIXES = itertools.count(1)


@dataclass
class S3Server:
    """One S3 server with the bucket `mlreg`."""

    command: list[str]
    port: int
    folder: Path | None = None
    process: subprocess.Popen | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> S3Settings:
        return S3Settings(
            endpoint_url=self.url,
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
        )

    def client(self):
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
        )

    def store(self, endpoint_url: str | None = None) -> S3Store:
        """Open a store under a prefix of its own, perhaps by way of a proxy."""
        settings = replace(self.settings, endpoint_url=endpoint_url or self.url)
        return S3Store(BUCKET, f"test-{next(_PREFIXES)}", settings)

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._await_port()
        client = self.client()
        client.create_bucket(Bucket=BUCKET)
        client.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _await_port(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.command)


def rclone_server() -> S3Server:
    """`rclone serve s3`: checks signatures and keeps real files; ignores `If-None-Match`."""
    folder, port = Path(tempfile.mkdtemp(prefix="mlreg-s3-")), free_port()
    command = [
        str(Path(sys.executable).with_name("rclone")),
        "serve",
        "s3",
        f"--addr=127.0.0.1:{port}",
        f"--auth-key={ACCESS_KEY_ID},{SECRET_ACCESS_KEY}",
        "--config=",
        str(folder),
    ]
    return S3Server(command, port, folder)


def moto_server() -> S3Server:
    """`moto_server`: honours `If-None-Match`; checks no signature and no checksum."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H127.0.0.1", f"-p{port}"]
    return S3Server(command, port)
