"""What a scorer keeps on its own disk, so that it can serve while the registry is away.

`<folder>/<model>/<environment>/state.json` says which revision was served last and by which files;
`<folder>/<model>/versions/<digest>/` holds the files of one version, as they were downloaded and
verified, and the feature contract.

What always holds: `state.json` is replaced as a whole, after the version that it names was loaded;
it names the digest of the model file, which is checked again when it is loaded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from mlreg.client.new_files import new_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STATE = "state.json"
CONTRACT = "mlreg-contract.json"


class Cached(BaseModel):
    """What was served last.

    Attributes:
        incarnation: of the registry's database.
        revision: of the deployment; a lower one of the same incarnation is never taken.
        manifest: digest of the version's files, which names their folder.
        model_path: the model file in that folder; its bytes have `model_digest`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    incarnation: str
    revision: int
    version: int
    manifest: str
    model_path: str
    model_digest: str
    contract_path: str = CONTRACT

    @property
    def etag(self) -> str:
        """The entity tag of the deployment that this came from."""
        return f'"{self.incarnation}-{self.revision}"'


class ScorerCache:
    """The folder of one model in one environment."""

    def __init__(self, folder: Path, model: str, environment: str) -> None:
        self._state = folder / model / environment / STATE
        self._versions = folder / model / "versions"
        self.parsed = folder / "parsed"

    def version_folder(self, manifest: str) -> Path:
        """Return where the files of a version are, or would be."""
        return self._versions / manifest.removeprefix("sha256:")

    def find(self) -> Cached | None:
        """Return what was served last, or None if nothing was or the note is unreadable."""
        try:
            return Cached.model_validate_json(self._state.read_bytes())
        except (OSError, ValidationError):
            return None

    def keep(self, cached: Cached) -> None:
        """Note what is served now."""
        self._state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new_file(self._state) as note:
            note.write(cached.model_dump_json().encode())

    def keep_contract(self, manifest: str, features: Sequence[Mapping[str, object]]) -> None:
        """Write the feature contract beside a version's files."""
        document = json.dumps({"format": 1, "features": [*features]})
        with new_file(self.version_folder(manifest) / CONTRACT) as contract:
            contract.write(document.encode())
