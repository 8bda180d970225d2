"""The door for model files: digest, structure, and a child process that parses them first.

What always holds: `ModelParser.check` returns only when the bytes have the digest that was asked
for, `lightgbm_text.validate` passed, and LightGBM itself parsed and scored them in a child process
with limits (memory, CPU, wall time, no secrets in its environment). A file that makes the parser
crash, hang or eat memory kills the child and is refused; the caller lives. Digests that passed are
remembered, for the LightGBM library that passed them, in this process and in a folder.

The child has no network it would need, but is not cut off from it either: that needs privileges
that an application usually has not.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from mlreg.client.scoring import parser_child
from mlreg.client.scoring.errors import ModelFileError, ParserRefusedError
from mlreg.client.scoring.lightgbm_text import ModelSummary, validate
from mlreg.client.signal_names import name_of_signal

WALL_SECONDS = 30.0


class ModelParser:
    """Checks model files, each digest once.

    Args:
        memory: a folder that remembers digests that passed, across processes; None: not at all.
            Whoever can write there can vouch for a file, so it belongs to this user alone (0700).
        wall_seconds: how long the child may take.
    """

    def __init__(self, memory: Path | None = None, *, wall_seconds: float = WALL_SECONDS) -> None:
        self._memory = memory
        self._wall_seconds = wall_seconds
        self._passed: dict[str, ModelSummary] = {}

    def check(self, content: bytes, *, digest: str | None = None) -> ModelSummary:
        """Return what a model file says of itself, once it may be parsed in this process.

        Args:
            content: the file.
            digest: `sha256:<hex>` that the bytes must have; None: whatever they are.

        Raises:
            ModelFileError: other bytes, or a broken structure.
            ParserRefusedError: LightGBM refused it, or died of it, in the child.
        """
        name = hashlib.sha256(content).hexdigest()
        if digest is not None and digest != f"sha256:{name}":
            raise ModelFileError(where="file", cause=f"its digest is not {digest}")
        if name not in self._passed:
            summary = validate(content)
            if not self._remembers(name):
                parse_in_child(content, summary, wall_seconds=self._wall_seconds)
                self._remember(name)
            self._passed[name] = summary
        return self._passed[name]

    def _remembers(self, name: str) -> bool:
        return self._memory is not None and (self._memory / _mark(name)).exists()

    def _remember(self, name: str) -> None:
        if self._memory is not None:
            self._memory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._memory / _mark(name)).touch()


def parse_in_child(
    content: bytes, summary: ModelSummary, *, wall_seconds: float = WALL_SECONDS
) -> None:
    """Let a child process parse and score a model file.

    Raises:
        ParserRefusedError: it refused, was killed or took longer than `wall_seconds`.
    """
    with tempfile.NamedTemporaryFile(prefix="mlreg-model-", suffix=".txt") as file:
        file.write(content)
        file.flush()
        command = [sys.executable, "-I", "-S", parser_child.__file__, str(lightgbm_library())]
        try:
            ended = subprocess.run(  # noqa: S603 - our own interpreter and file, no shell
                [*command, file.name, str(len(summary.feature_names))],
                env={"OMP_NUM_THREADS": "1", "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=wall_seconds,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            cause = f"took longer than {wall_seconds:g} s"
            raise ParserRefusedError(where="parser", cause=cause) from error
    if ended.returncode:
        raise ParserRefusedError(where="parser", cause=_cause(ended.returncode, ended.stderr))


@cache
def lightgbm_library() -> Path:
    """Return the shared library of the installed LightGBM, without importing it.

    Raises:
        ModelFileError: LightGBM is not installed (extra `score`).
    """
    found = importlib.util.find_spec("lightgbm")
    folders = [] if found is None else found.submodule_search_locations or []
    for folder in folders:
        for library in sorted(Path(folder).glob("**/lib_lightgbm.*")):
            return library
    raise ModelFileError(where="parser", cause="LightGBM is not installed (extra `score`)")


@cache
def _library_mark() -> str:
    """Return a short name of the installed library: what passed one may not pass another."""
    status = lightgbm_library().stat()
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def _mark(name: str) -> str:
    return f"{name}.{_library_mark()}"


def _cause(code: int, stderr: bytes) -> str:
    if code < 0:
        return f"the parser's process was killed by {name_of_signal(-code)}"
    said = stderr.decode(errors="replace").strip().splitlines()
    return said[-1][:200] if said else f"the parser's process ended with {code}"
