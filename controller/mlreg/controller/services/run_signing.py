"""The signature of what a worker trains: by a key of its own, as people sign what they register.

What always holds: a worker without a key signs nothing; a signature is made only for a model that
the key is trusted for, and the log of the run says why one was not made. Whether unsigned versions
are taken is the registration's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.signing import key_id, load_private_key, public_pem, sign
from mlreg.client.wire.signing import SignatureForm
from mlreg.registry.services import signing
from mlreg.registry.services.catalog import get_model

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.controller.services.attempt import Attempt
    from mlreg.controller.services.training import Training
    from mlreg.registry.domain.manifests import Manifest
    from mlreg.registry.services.signing import CheckedSignature
    from mlreg.registry.store.database import ReadSession

SETTING = "MLREG_SIGNING_KEY"


def sign_trained(
    attempt: Attempt, training: Training, manifest: Manifest
) -> CheckedSignature | None:
    """Sign the files of a run's model, if this worker has a key that is trusted for it.

    Raises:
        InvalidError, OSError: the key cannot be read any more.
    """
    if attempt.signing_key is None:
        return None
    model, key = training.model.name, load_private_key(attempt.signing_key)
    form = SignatureForm(body=sign(key, model, manifest.digest))
    with attempt.database.reading() as session:
        keys = signing.keys_for(session, model, form)
    try:
        return signing.checked(model, manifest, form, keys)
    except signing.SignatureNotTrustedError:
        name = key_id(public_pem(key.public_key()))
        training.log.say(f"not signed: this worker's key {name} is not trusted for {model}")
        return None


def key_id_of(file: Path | None) -> str | None:
    """Return the name of the public half of a worker's key, None where there is no key.

    Raises:
        InvalidError, OSError: there is no such key.
    """
    return None if file is None else key_id(public_pem(load_private_key(file).public_key()))


def find_obstacle(session: ReadSession, model: str, key: str | None) -> str | None:
    """Say why runs of a model could not register what they train, None if they can.

    Args:
        session: reads.
        model: its name.
        key: the name of the key that this server's workers have, if they have one.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    if not get_model(session, model).requires_signature:
        return None
    trusted = signing.keys_for(session, model, SignatureForm(body="{}"))
    if key is None:
        why = f"this server has no signing key ({SETTING})"
    elif key not in {one.id for one in trusted}:
        why = f"this server's signing key {key} is not trusted for it"
    else:
        return None
    return f"{model} takes signed versions only, and {why}: every run of this policy will fail"
