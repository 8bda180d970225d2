"""Signatures of versions: keys that are trusted, and what they signed.

What always holds:

- a signature is kept only with a version that it was made for, by a key that an admin trusts for
  that model at that moment; it is checked before, and its key looked at again in the transaction;
- a model that asks for signatures takes no version without one, from nobody;
- a removed key stays with what it signed, which is then shown as signed by a key no longer trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.client import signing as ed25519
from mlreg.client.errors import InvalidError as ClientInvalidError
from mlreg.client.signing import SignatureInvalidError
from mlreg.registry.domain.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from mlreg.registry.domain.names import checked_name
from mlreg.registry.services import audit, oms
from mlreg.registry.services.catalog import ModelNotFoundError, get_model, id_of
from mlreg.registry.store import signing as rows
from mlreg.registry.store.tables import SigningKey, VersionSignature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.client.wire.signing import KeyRequest, SignatureForm
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.domain.manifests import Manifest
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.registration import NewVersion
    from mlreg.registry.store.tables import Version

KINDS = {"dsse": ("ed25519",), "oms": ("oms-key", "oms-certificate")}


class SignatureRequiredError(RefusedError):
    """The model takes signed versions only."""

    code = "signature_required"
    hint = "Register with `--sign KEY`, or set MLREG_SIGNING_KEY."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} takes signed versions only")


class SignatureNotTrustedError(RefusedError):
    """No key that is trusted for this model made the signature."""

    code = "signature_not_trusted"
    hint = "An admin can trust the key: `mlreg key add NAME FILE`."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"the signature is by no key that is trusted for model {model!r}")


class SignatureWrongError(IntegrityError):
    """The signature does not hold for these files and this model."""

    code = "signature_invalid"
    hint = "Sign these files for this model, with nothing changed since."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"the signature does not hold: {cause}")


class InvalidKeyError(InvalidError):
    """A public key that cannot be read as one of its kind."""

    code = "invalid_key"
    hint = "Give the public key (or certificate) in PEM."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"not such a key: {cause}")


class KeyNotFoundError(NotFoundError):
    """There is no such key."""

    code = "key_not_found"
    hint = "`mlreg key list` shows what there is."

    def __init__(self, *, key: str) -> None:
        super().__init__(f"no key {key[:64]!r}")


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature that held when it was looked at, and the key that made it."""

    kind: str
    key_id: str
    body: str


def add_key(
    session: WriteSession, request: KeyRequest, *, actor: Actor, now: datetime
) -> SigningKey:
    """Trust a public key from now on; one that was removed is trusted again.

    Raises:
        InvalidKeyError: it is no key of its kind.
        InvalidNameError: its name is none.
        ModelNotFoundError: it is for a model that is not there.
    """
    checked_name(request.name, kind="key")
    for model in request.models or ():
        get_model(session, model)
    public = checked_public_key(request.kind, request.public_key)
    key = session.get(SigningKey, ed25519.key_id(public)) or SigningKey(
        id=ed25519.key_id(public),
        name=request.name,
        kind=request.kind,
        public_key=public,
        created_at=now,
        created_by=actor.name,
    )
    key.name, key.models = request.name, request.models
    key.removed_at = key.removed_by = None
    session.add(key)
    session.flush()
    body = {"name": key.name, "kind": key.kind, "models": key.models}
    audit.record(
        session, action="key.add", subject=f"key:{key.id}", actor=actor, body=body, now=now
    )
    return key


def remove_key(session: WriteSession, key_id: str, *, actor: Actor, now: datetime) -> SigningKey:
    """Trust a key no more; what it signed stays signed by it; repeating it is fine.

    Raises:
        KeyNotFoundError: there is none.
    """
    key = rows.find_key(session, key_id)
    if key is None:
        raise KeyNotFoundError(key=key_id)
    if key.removed_at is None:
        key.removed_at, key.removed_by = now, actor.name
        session.add(key)
        session.flush()
        body = {"name": key.name}
        audit.record(
            session, action="key.remove", subject=f"key:{key.id}", actor=actor, body=body, now=now
        )
    return key


def list_keys(session: ReadSession, *, models: frozenset[str] | None) -> Sequence[SigningKey]:
    """Return the keys, removed ones too, that may sign for one of these models; None is every."""
    return [
        key
        for key in rows.all_keys(session)
        if models is None or key.models is None or not models.isdisjoint(key.models)
    ]


def require_signatures(
    session: WriteSession, model: str, *, required: bool, actor: Actor, now: datetime
) -> None:
    """Say whether new versions of a model must be signed.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    if not rows.require(session, checked_name(model), required=required):
        raise ModelNotFoundError(model=model)
    audit.record(
        session,
        action="model.require_signatures",
        subject=f"model:{model}",
        actor=actor,
        body={"required": required},
        now=now,
    )


def keys_for(session: ReadSession, model: str, form: SignatureForm | None) -> Sequence[SigningKey]:
    """Return the keys that may have made a signature for a model; none where there is none."""
    return () if form is None else rows.keys_for(session, model, KINDS[form.kind])


def checked(
    model: str, manifest: Manifest, form: SignatureForm | None, keys: Sequence[SigningKey]
) -> CheckedSignature | None:
    """Look for a key that made this signature, for this model and these files; None for none.

    No session: a bundle is checked by a child process, which takes about a second.

    Raises:
        SignatureNotTrustedError: there is no such key.
        SignatureWrongError: it was made for other files or another model.
    """
    if form is None:
        return None
    cause = ""
    for key in keys:
        found = _fault(key, model, manifest, form)
        if found is None:
            return CheckedSignature(form.kind, key.id, form.body)
        if not ("with this key" in found or "Key mismatch" in found):
            cause = found
    if cause:
        raise SignatureWrongError(cause=cause)
    raise SignatureNotTrustedError(model=model)


def keep_signature(
    session: WriteSession, version: NewVersion, model: str, signature: CheckedSignature
) -> None:
    """Keep a checked signature with its version, in the version's own transaction.

    Raises:
        SignatureNotTrustedError: its key was removed, or kept to other models, meanwhile.
    """
    key = rows.find_key_locked(session, signature.key_id)
    trusted = key is not None and key.removed_at is None
    if key is None or not trusted or (key.models is not None and model not in key.models):
        raise SignatureNotTrustedError(model=model)
    session.add(
        VersionSignature(
            model_id=version.model_id,
            number=version.number,
            kind=signature.kind,
            key_id=signature.key_id,
            body=signature.body,
            created_at=version.created_at,
            created_by=version.created_by,
        )
    )
    session.flush()


def list_signatures(
    session: ReadSession, version: Version
) -> Sequence[tuple[VersionSignature, SigningKey]]:
    """Return the signatures of a version with their keys."""
    return rows.signatures_of(session, version.model_id, version.number)


def is_signed(session: ReadSession, model: str, version: Version) -> bool:
    """Say whether a version bears a signature of a key that is still trusted for its model."""
    return any(is_trusted(key, model) for _, key in list_signatures(session, version))


def requires_signature(session: ReadSession, model: str) -> bool:
    """Say whether new versions of a model must be signed.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    found = get_model(session, model)
    return id_of(found) > 0 and found.requires_signature


def is_trusted(key: SigningKey, model: str) -> bool:
    """Say whether a key may sign for a model now."""
    return key.removed_at is None and (key.models is None or model in key.models)


def checked_public_key(kind: str, text: str) -> str:
    """Return a public key or certificate as PEM, in one form.

    Raises:
        InvalidKeyError: it is none.
    """
    try:
        if kind == "ed25519":
            return ed25519.public_pem(ed25519.load_public_key(text))
    except ClientInvalidError as error:
        raise InvalidKeyError(cause=str(error)) from error
    return oms.checked_key(kind, text)


def _fault(key: SigningKey, model: str, manifest: Manifest, form: SignatureForm) -> str | None:
    """Return what speaks against a signature by this key, None if it holds."""
    if form.kind == "oms":
        return oms.find_fault(form.body, key.kind, key.public_key, manifest)
    try:
        ed25519.verify(form.body, key.public_key, model, manifest.digest)
    except SignatureInvalidError as error:
        return str(error)
    return None
