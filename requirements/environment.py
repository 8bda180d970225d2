"""Make `.venv` from the lock, with nothing but Python 3.11 or newer to begin with.

With the word `mlflow` it makes `.mlflow`, where the MLflow server is that tests and benchmarks are
held against; with `ray` it makes `.ray`, a Ray cluster's, with mlreg in it; with `drift` it makes
`.drift`, with the programs whose drift reports are timed beside ours. Standard library only. Does
nothing when the environment already is what the lock says. uv does the work; it comes from the lock
`bootstrap.txt`, into a small environment of its own where Python can make one, else (Debian without
`python3-venv`) into a plain folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
BOOTSTRAP = ROOT / ".bootstrap"
OLDEST = (3, 11)
OURS = {"dev": ".venv", "ray": ".ray"}
"""The environments with mlreg in them."""
Command = list[str]


def main(name: str = "dev") -> None:
    """Make or renew an environment: one of ours (`dev`, `ray`), or that of another program."""
    if sys.version_info < OLDEST:
        sys.exit(f"mlreg needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    ours = name in OURS
    environment, lock = ROOT / OURS.get(name, f".{name}"), REQUIREMENTS / f"{name}.txt"
    stamp, wanted = environment / "made-from", fingerprint(lock)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    uv = find_uv()
    print(f"making {environment} from the lock", flush=True)
    if not (environment / "bin" / "python").exists():
        run([*uv, "venv", "--quiet", f"--python={sys.executable}", str(environment)])
    stamp.unlink(missing_ok=True)
    target = f"--python={environment / 'bin' / 'python'}"
    exact = ["--quiet", "--require-hashes", "--compile-bytecode", str(lock)]
    run([*uv, "pip", "sync", target, *exact])
    if ours:
        itself = ["--no-deps", "--no-build-isolation", f"--editable={ROOT}"]
        run([*uv, "pip", "install", target, "--quiet", *itself])
    check_openmp()
    stamp.write_text(wanted)


def check_openmp() -> None:
    """Stop, saying what to do, where LightGBM could not load: its wheel brings no OpenMP."""
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        sys.exit(
            "LightGBM needs the system's OpenMP library, libgomp.so.1, which is not here: install "
            "it (on Debian and Ubuntu `apt install libgomp1`) and try again."
        )


def fingerprint(lock: Path) -> str:
    """Return what an environment is made from, as one digest."""
    parts = [lock, ROOT / "pyproject.toml", Path(__file__)]
    found = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for path in parts:
        found.update(path.read_bytes())
    return found.hexdigest()


def find_uv() -> Command:
    """Return how to call uv, after fetching it at the first time.

    Three ways, the first that works: an environment made by `venv`; pip into a folder; a uv that
    is already on the path.
    """
    own, folder = BOOTSTRAP / "bin" / "python", BOOTSTRAP / "site"
    in_environment = [str(own), "-m", "uv"]
    in_folder = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(folder)!r}]; {_RUN_UV}"]
    for place, there in ((own, in_environment), (folder, in_folder)):
        if place.exists() and works([*there, "--version"]):
            return there
    lock = ["install", "--quiet", "--require-hashes", f"-r{REQUIREMENTS / 'bootstrap.txt'}"]
    if works([sys.executable, "-m", "venv", "--clear", str(BOOTSTRAP)]):
        run([str(own), "-m", "pip", *lock])
        return in_environment
    if works([sys.executable, "-m", "pip", "--version"]):
        run([sys.executable, "-m", "pip", *lock, f"--target={folder}", "--upgrade"])
        return in_folder
    if not works(["uv", "--version"]):
        sys.exit(
            "This Python has neither venv with pip nor pip, and there is no uv: install one of "
            "them (on Debian `apt install python3-venv`) and try again."
        )
    return ["uv"]


_RUN_UV = "from uv import find_uv_bin; import os; os.execv(find_uv_bin(), ['uv', *sys.argv[1:]])"


def works(command: Command) -> bool:
    """Say whether a command ends well; what it prints is of no interest."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(command: Command) -> None:
    """Run a command; when it fails, so does this."""
    done = subprocess.run(command, check=False, cwd=ROOT, env={**index_settings(), **os.environ})
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command[:6])} … (exit {done.returncode})")


def index_settings() -> dict[str, str]:
    """Return what uv should know of this machine's pip: its main index and its certificates."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    known = dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)
    names = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    return {
        names[key.rpartition(".")[2]]: json.loads(value.replace("'", '"'))
        for key, value in known.items()
        if key.rpartition(".")[2] in names
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
