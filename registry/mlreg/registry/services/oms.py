"""OpenSSF model-signing bundles: checked by a child, for their library is heavy.

The child gets the bundle, one trusted key or certificate, and the digests of the manifest; no file
of the version, no secret of this process, and 30 seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlreg.registry.domain.errors import InvalidError, UnavailableError
from mlreg.registry.store.clock import SystemClock

if TYPE_CHECKING:
    from mlreg.registry.domain.manifests import Manifest

CHILD = Path(__file__).with_name("oms_child.py")
CHILD_SECONDS = 30


class BundleKeyError(InvalidError):
    """A key or certificate with which no bundle can be checked."""

    code = "invalid_key"
    hint = "Give an EC public key (NIST P-256, P-384 or P-521), or a certificate, in PEM."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"not a key or certificate for bundles: {cause}")


class BundleCheckerError(UnavailableError):
    """The child that checks bundles did not answer."""

    code = "bundle_checker_failed"
    hint = "Try again; is the package model-signing installed on the server?"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the bundle could not be checked: {cause}")


def checked_key(kind: str, text: str) -> str:
    """Return a public key or certificate unchanged.

    Raises:
        BundleKeyError: it is none of its kind.
    """
    try:
        if kind == "oms-certificate":
            x509.load_pem_x509_certificate(text.encode())
        elif not isinstance(
            serialization.load_pem_public_key(text.encode()), ec.EllipticCurvePublicKey
        ):
            raise BundleKeyError(cause="it is not an EC key")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleKeyError(cause=str(error)) from error
    return text


def find_fault(bundle: str, kind: str, key: str, manifest: Manifest) -> str | None:
    """Return what speaks against a bundle, None if it holds for exactly these files.

    Raises:
        BundleCheckerError: the child failed or took too long.
    """
    files = {file.path: file.digest.removeprefix("sha256:") for file in manifest.files}
    at = SystemClock().now().isoformat()
    asked = {"bundle": bundle, "kind": kind, "key": key, "files": files, "at": at}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and file, no shell
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(asked),
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
            check=False,
            start_new_session=True,
        )
        answer = json.loads(ended.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BundleCheckerError(cause=type(error).__name__) from error
    return None if answer["holds"] else str(answer["cause"])
