"""The child that checks one OpenSSF model-signing bundle; run by `oms.py`, never imported.

Reads one JSON document from stdin (`bundle`, `kind`, `key`, `files`: path → sha256 hex, `at`: the
present moment) and writes one: `{"holds": true}` or `{"holds": false, "cause": "…"}`. No file of
the version is needed: the bundle's own list is compared with the manifest, whose digests were
checked when it was stored.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cryptography import x509
from model_signing import manifest as oms
from model_signing import verifying
from model_signing._hashing.hashing import Digest  # the one class its public API does not export
from OpenSSL import crypto

from mlreg.client.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


OTHER = "not made with this key: {}"


class KnownDigests:
    """Stands where the library hashes files: hands out the digests of the manifest."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def add_ignored_paths(self, **_: object) -> None:
        """Ignore nothing: every file of a version must be signed."""

    def hash(self, _path: object, *, files_to_hash: object = None) -> oms.Manifest:
        """Return the library's manifest of the files."""
        del files_to_hash
        items = [
            oms.FileManifestItem(
                path=PurePosixPath(path), digest=Digest("sha256", bytes.fromhex(digest))
            )
            for path, digest in self._files.items()
        ]
        serialization = {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": [],
        }
        return oms.Manifest("version", items, oms.SerializationType.from_args(serialization))


def main() -> None:
    """Check and answer."""
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        faults: list[Exception] = []
        with Edge(faults.append):  # whatever it is, it is a no
            check(asked, Path(folder))
    json.dump(_refusal(faults[0]) if faults else {"holds": True}, sys.stdout)


def _refusal(fault: Exception) -> dict[str, object]:
    lines = str(fault).splitlines()
    return {"holds": False, "cause": lines[0][:500] if lines else type(fault).__name__}


def check(asked: Mapping[str, Any], folder: Path) -> None:
    """Let a bundle pass that was made with the key for exactly these files."""
    check_material(asked)
    bundle, key = folder / "bundle", folder / "key"
    bundle.write_text(asked["bundle"])
    key.write_text(asked["key"])
    config = verifying.Config()  # type: ignore[no-untyped-call]
    config.set_hashing_config(KnownDigests(asked["files"]))  # type: ignore[arg-type]  # acts as one
    if asked["kind"] == "oms-certificate":
        config.use_certificate_verifier(certificate_chain=[key])
    else:
        config.use_elliptic_key_verifier(public_key=key)
    try:
        config.verify(folder, bundle)
    except crypto.X509StoreContextError as error:
        raise ValueError(OTHER.format(error)) from error


def check_material(asked: Mapping[str, Any]) -> None:
    """Refuse a bundle of another kind than the key, and one whose certificate is not valid now.

    The library looks at a chain as of the first moment of its leaf, so that one never ends: its
    bundles bear no time. Whoever finds an old key could sign for ever.
    """
    material = json.loads(asked["bundle"]).get("verificationMaterial", {})
    chain = material.get("x509CertificateChain")
    if (chain is None) == (asked["kind"] == "oms-certificate"):
        raise ValueError(OTHER.format("it is of another kind"))
    if chain is not None:
        leaf = x509.load_der_x509_certificate(
            base64.b64decode(chain["certificates"][0]["rawBytes"])
        )
        at = datetime.fromisoformat(asked["at"])
        if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
            raise ValueError(OTHER.format("its certificate is not valid now"))


if __name__ == "__main__":
    main()
