"""Opening the witnesses that the settings name: the composition root of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.note_keys import SignerKey
from mlreg.registry.domain.notes import Note
from mlreg.registry.witnesses.folder import FolderWitness, key_of
from mlreg.registry.witnesses.syslog import SyslogWitness
from mlreg.registry.witnesses.witness import Witness

if TYPE_CHECKING:
    from mlreg.registry.witnesses.settings import WitnessSettings


@dataclass(frozen=True, slots=True)
class Notary:
    """The key that signs checkpoints, and who keeps them.

    Attributes:
        newest: the last checkpoint that the folder kept; what is signed next must agree with it.
    """

    key: SignerKey
    witnesses: Sequence[Witness]
    newest: Note | None


def open_notary(settings: WitnessSettings) -> Notary | None:
    """Open what the settings name; None when there is no key, and no folder to make one in.

    Raises:
        NoteError: the key, or what the folder keeps, cannot be read.
        InvalidStoreUrlError: the URL names no bucket.
        WitnessUnavailableError: the folder cannot be used.
    """
    if settings.key is not None:
        key = SignerKey.parse(settings.key)
    elif settings.folder is not None:
        key = key_of(settings.folder)
    else:
        return None
    folder = None if settings.folder is None else FolderWitness(settings.folder)
    witnesses: list[Witness] = [] if folder is None else [folder]
    if settings.url is not None:
        from mlreg.registry.witnesses.s3 import S3Witness  # noqa: PLC0415 - boto3 only where used

        witnesses.append(S3Witness(settings.url, settings.s3, settings.retention_days))
    if settings.syslog is not None:
        witnesses.append(SyslogWitness(settings.syslog))
    return Notary(key, witnesses, None if folder is None else folder.find_newest())
