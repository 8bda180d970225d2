"""`Scorer`: the champion of a model in an environment, as a serving application uses it.

```python
scorer = Scorer(Client.from_environment(), "flights", cache=Path("~/.cache/mlreg").expanduser())
scorer.refresh()                                   # now and then; cheap when nothing changed
answer = scorer.predict({"carrier": ["UA"], "distance": [1400]})
answer.scores, answer.version, answer.revision
```

What always holds:

- it serves the last champion that it verified, from disk even after a restart, while the registry
  is away or offers something unfit; `problem` says so;
- it never takes a lower revision of the same incarnation (a restored database is another one);
- a new champion takes over at once and as a whole, only after it was downloaded, verified, parsed
  in a child process and loaded; then the revision is acknowledged to the registry.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.client.cache import BlobCache
from mlreg.client.errors import MlregError
from mlreg.client.provenance import digest_of_file
from mlreg.client.scoring.cache import Cached, ScorerCache
from mlreg.client.scoring.errors import ModelFileError, NoChampionError, ScoringError
from mlreg.client.scoring.parser import ModelParser
from mlreg.client.scoring.served import ServedModel, load_model
from mlreg.client.transport import Call, parsed, path
from mlreg.client.versions import Versions
from mlreg.client.wire.deployments import DeploymentAnswer

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.client.client import Client
    from mlreg.client.scoring.encoding import Columns
    from mlreg.client.wire.versions import FileAnswer, VersionAnswer

NOT_MODIFIED = 304
_UNFIT_FOR_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores, and by which champion.

    Attributes:
        scores: float64, one per row; binary: the probability of the positive class.
        version: of the model; log it with the prediction.
        revision: of the deployment.
        unseen: feature name to the number of values that the feature contract does not know.
    """

    scores: NDArray[np.float64]
    version: int
    revision: int
    unseen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Serving:
    """The model in use and where it came from; replaced as a whole."""

    model: ServedModel
    cached: Cached


class Scorer:
    """Scores with the champion of a model in an environment."""

    def __init__(
        self,
        client: Client,
        model: str,
        environment: str = "production",
        *,
        cache: Path,
        name: str | None = None,
        threads: int = 1,
    ) -> None:
        """Open a scorer and load the champion that it served last, if there is one on disk.

        Args:
            client: of the registry; its token may read the model.
            model: whose champion.
            environment: where.
            cache: a folder of this user alone (0700), shared by scorers of one machine.
            name: what `mlreg status` calls this process; None: host and process number.
            threads: for one call of `predict`.
        """
        self._client = client
        self._path = path("models", model, "deployments", environment)
        self._model, self._environment = model, environment
        self._name = name or own_name()
        self._threads = threads
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._versions = Versions(client.transport, BlobCache(cache), link=True)
        self._cache = ScorerCache(cache, model, environment)
        self._parser = ModelParser(self._cache.parsed)
        self._refreshing = threading.Lock()
        self._acknowledged: str | None = None
        self._seen: str | None = None
        self.problem: str | None = None
        self._serving = self._load_last()

    @property
    def version(self) -> int | None:
        """The version in use, or None."""
        return None if self._serving is None else self._serving.model.version

    @property
    def revision(self) -> int | None:
        """The revision in use, or None."""
        return None if self._serving is None else self._serving.cached.revision

    def refresh(self) -> bool:
        """Ask the registry what serves now, and switch to it; True if the version changed.

        Never raises for what the registry does or does not do: `problem` is then one line about
        it, and the champion in use stays in use.
        """
        with self._refreshing:
            before = self.version
            try:
                self._follow()
                self.problem = None
            except (MlregError, ScoringError, OSError) as error:
                self.problem = str(error)
            return self.version != before

    def predict(self, columns: Columns) -> Prediction:
        """Score rows.

        Args:
            columns: feature name to values, or an Arrow table; other columns are ignored.

        Raises:
            NoChampionError: no champion was ever loaded here.
            ColumnError: a column breaks the feature contract; the message names it.
        """
        serving = self._serving
        if serving is None:
            cause = self.problem or "it was not asked for yet (`refresh`)"
            raise NoChampionError(model=self._model, environment=self._environment, cause=cause)
        scores, encoded = serving.model.score(columns, threads=self._threads)
        return Prediction(scores, serving.model.version, serving.cached.revision, encoded.unseen)

    def _follow(self) -> None:
        found = self._look_up()
        if found is not None:
            self._check_not_older(found)
            if (
                self._serving is None
                or found.revision != self._serving.cached.revision
                or (found.incarnation != self._serving.cached.incarnation)
            ):
                self._switch(found)
            self._seen = found.etag
        self._acknowledge()

    def _look_up(self) -> DeploymentAnswer | None:
        """Return the deployment, or None if it is as it was when it was last followed."""
        headers = {} if self._seen is None else {"If-None-Match": self._seen}
        reply = self._client.transport.send(Call("GET", self._path, headers=headers))
        return None if reply.status == NOT_MODIFIED else parsed(reply, DeploymentAnswer)

    def _check_not_older(self, found: DeploymentAnswer) -> None:
        if self._serving is None or found.incarnation != self._serving.cached.incarnation:
            return
        if found.revision < self._serving.cached.revision:
            raise OlderRevisionError(offered=found.revision, served=self._serving.cached.revision)

    def _switch(self, found: DeploymentAnswer) -> None:
        """Load the champion of a deployment and serve it from now on."""
        if found.champion is None or found.champion_digest is None:
            raise NoChampionError(
                model=self._model, environment=self._environment, cause="none was promoted yet"
            )
        serving = self._serving
        if serving is not None and serving.cached.manifest == found.champion_digest:
            cached = serving.cached.model_copy(
                update={"incarnation": found.incarnation, "revision": found.revision}
            )
            model = serving.model
        else:
            cached = self._fetch(found, found.champion, found.champion_digest)
            model = load_model(self._cache.version_folder(cached.manifest), cached, self._parser)
        self._serving = _Serving(model, cached)
        self._cache.keep(cached)

    def _fetch(self, found: DeploymentAnswer, number: int, manifest: str) -> Cached:
        """Download a version, unless its folder is there, and say what to load."""
        version = self._versions.get(self._model, number)
        if version.manifest != manifest:
            cause = f"version {number} is {version.manifest}, the deployment says {manifest}"
            raise ModelFileError(where="manifest", cause=cause)
        if version.contract is None:
            raise ModelFileError(where="contract", cause=f"version {number} has none")
        file = model_file(version)
        folder = self._cache.version_folder(manifest)
        if folder.exists() and not holds(folder / file.path, file.digest):
            shutil.rmtree(folder)
        if not folder.exists():
            self._versions.download(version, folder)
        self._cache.keep_contract(manifest, version.contract)
        return Cached(
            incarnation=found.incarnation,
            revision=found.revision,
            version=number,
            manifest=manifest,
            model_path=file.path,
            model_digest=file.digest,
        )

    def _acknowledge(self) -> None:
        """Tell the registry which revision is served; a failure is tried again next time."""
        serving = self._serving
        if serving is None or self._acknowledged == serving.cached.etag:
            return
        self._client.deployments.acknowledge(
            self._model,
            client=self._name,
            revision=serving.cached.revision,
            environment=self._environment,
        )
        self._acknowledged = serving.cached.etag

    def _load_last(self) -> _Serving | None:
        cached = self._cache.find()
        if cached is None:
            return None
        try:
            folder = self._cache.version_folder(cached.manifest)
            return _Serving(load_model(folder, cached, self._parser), cached)
        except (OSError, ValueError, ScoringError) as error:
            self.problem = f"the last champion on disk cannot be used: {error}"
            return None


class OlderRevisionError(ScoringError):
    """The registry offers a revision that this scorer has left behind."""

    code = "older_revision"
    hint = "Is the client connected to a stale replica, or was a database restored by hand?"

    def __init__(self, *, offered: int, served: int) -> None:
        super().__init__(f"the registry offers revision {offered}, already served is {served}")


def model_file(version: VersionAnswer) -> FileAnswer:
    """Return the LightGBM text model among a version's files.

    Raises:
        ModelFileError: there is none, or more than one.
    """
    texts = [file for file in version.files or () if file.path.endswith(".txt")]
    named = [file for file in texts if file.path == "model.txt"] or texts
    if len(named) != 1:
        cause = "a version to score with has one LightGBM text model (model.txt)"
        raise ModelFileError(where="manifest", cause=cause)
    return named[0]


def holds(file: Path, digest: str) -> bool:
    """Say whether a file is there with these bytes."""
    return file.is_file() and digest_of_file(file) == digest


def own_name() -> str:
    """Return a name for this process: host and process number."""
    host = _UNFIT_FOR_NAME.sub("-", socket.gethostname().lower()).strip(".-_") or "scorer"
    return f"{host[:50]}-{os.getpid()}"
