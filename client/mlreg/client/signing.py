"""Ed25519 signatures of versions: who has the key says that this model's version is these files.

What is signed is the DSSE pre-authentication encoding (`DSSEv1 LEN TYPE LEN PAYLOAD`,
github.com/secure-systems-lab/dsse) of the type `application/vnd.mlreg.version.v1+json` and the
payload `{"format":1,"manifest":"sha256:…","model":"…"}`: canonical JSON, so the manifest's digest
stands for every path, size and byte, and the model's name keeps a signature from being moved to
another model. The envelope is DSSE's own JSON with one signature.

It needs the extra `sign` (the package cryptography); nothing else in the client does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.errors import IntegrityError, InvalidError
from mlreg.client.wire.signing import SignatureForm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    from mlreg.client.wire.versions import FileAnswer, FileForm

PAYLOAD_TYPE = "application/vnd.mlreg.version.v1+json"
KEY_ID_DIGITS = 32


class SignatureInvalidError(IntegrityError):
    """A signature does not hold for what it came with."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the signature does not hold: {cause}",
            code="signature_invalid",
            hint="Do not use the version; ask who signed it.",
        )


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs a version: the owner of a private key, or of a bundle that was made elsewhere."""

    key: Path | None = None
    bundle: Path | None = None

    def sign(self, model: str, files: Sequence[FileForm]) -> SignatureForm:
        """Return the signature of a model's version that has these files.

        Raises:
            InvalidError: the key is none, or cryptography is not installed.
        """
        if self.bundle is not None:
            return SignatureForm(kind="oms", body=self.bundle.read_text("utf-8"))
        key = load_private_key(self.key or Path())
        return SignatureForm(body=sign(key, model, manifest_digest(files)))


def signer_of(key: Path | None, bundle: Path | None = None) -> Signer | None:
    """Return who signs, or None where nobody does; a bundle goes before a key."""
    return Signer(key, bundle) if key or bundle else None


def configured_signer(environ: Mapping[str, str] = os.environ) -> Signer | None:  # noqa: TID251 - an edge
    """Return the owner of the key that `$MLREG_SIGNING_KEY` names, or None."""
    key = environ.get("MLREG_SIGNING_KEY")
    return signer_of(Path(key) if key else None)


def generate_key(file: Path) -> str:
    """Write a new private key (PKCS 8 in PEM, mode 0600) and return its public key in PEM.

    Raises:
        FileExistsError: there is such a file; no key is ever written over.
    """
    from cryptography.hazmat.primitives import serialization as forms  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(text)
    return public_pem(key.public_key())


def load_private_key(file: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        InvalidError: it is no Ed25519 key in PEM without a password.
        OSError: it cannot be read.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise _invalid_key(f"{file}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _invalid_key(f"{file} is not an Ed25519 key")
    return key


def load_public_key(text: str) -> Ed25519PublicKey:
    """Read a public key from PEM.

    Raises:
        InvalidError: it is no Ed25519 key in PEM.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid_key(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _invalid_key("it is not an Ed25519 key")
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as PEM."""
    from cryptography.hazmat.primitives import serialization as forms  # noqa: PLC0415

    form = forms.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(forms.Encoding.PEM, form).decode()


def key_id(public: str) -> str:
    """Return the name of a public key: from the SHA-256 of its PEM text without white space."""
    text = "".join(public.split())
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_ID_DIGITS]


def sign(key: Ed25519PrivateKey, model: str, manifest: str) -> str:
    """Return the envelope with the signature of a model's version with this manifest digest."""
    payload = payload_of(model, manifest)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": key_id(public_pem(key.public_key())),
                "sig": base64.b64encode(signature).decode(),
            }
        ],
    }
    return json.dumps(envelope)


def verify(envelope: str, public: str, model: str, manifest: str) -> None:
    """Let an envelope pass that this key's owner made for this model and manifest.

    Raises:
        SignatureInvalidError: another key, another model, other files, or no envelope.
        InvalidError: `public` is no key.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    payload, signature = _opened(envelope)
    if payload != payload_of(model, manifest):
        raise SignatureInvalidError("it was made for another model or other files")
    try:
        load_public_key(public).verify(
            signature, pre_authentication_encoding(PAYLOAD_TYPE, payload)
        )
    except InvalidSignature:
        raise SignatureInvalidError("it was not made with this key") from None


def payload_of(model: str, manifest: str) -> bytes:
    """Return what is signed: canonical JSON (RFC 8785) of names that need no escapes."""
    document = {"format": 1, "manifest": manifest, "model": model}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def pre_authentication_encoding(kind: str, payload: bytes) -> bytes:
    """Return DSSE's PAE: no two pairs of type and payload have the same."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def manifest_digest(files: Iterable[FileForm | FileAnswer]) -> str:
    """Return the digest of a manifest as the server computes it: canonical JSON, sorted by path."""
    listed = sorted(
        ({"digest": file.digest, "path": file.path, "size": file.size} for file in files),
        key=lambda file: str(file["path"]),
    )
    document = {"files": listed, "format": 1}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _opened(envelope: str) -> tuple[bytes, bytes]:
    """Return payload and signature of an envelope of ours."""
    try:
        document = json.loads(envelope)
        (one,) = document["signatures"]
        if document["payloadType"] != PAYLOAD_TYPE:
            raise SignatureInvalidError("it is of another kind")
        payload = base64.b64decode(document["payload"], validate=True)
        return payload, base64.b64decode(one["sig"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise SignatureInvalidError("it is no DSSE envelope with one signature") from error


def _invalid_key(cause: str) -> InvalidError:
    return InvalidError(
        f"not an Ed25519 key in PEM: {cause}",
        code="invalid_key",
        hint="`mlreg key generate FILE` makes one.",
    )
