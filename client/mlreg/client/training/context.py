"""`client.training(…)`: a block that records a training and registers what came of it.

```python
with client.training("fraud", features=["amount", "country"], data={"train": frame}) as t:
    booster = lightgbm.train({"seed": t.seed(7), **params}, rows, callbacks=[t.callback()])
    t.log_metrics(auc=auc)
    t.model(booster)
print(t.version.number)
```

What always holds: what can be refused is refused before the block begins (no such model, no commit,
no data); git state and digests are taken at its beginning, time and memory at its end; a block that
ends by an error (Ctrl-C and `sys.exit` as well) registers nothing, and says so; what was trained is
not lost when the server cannot be reached at its end: the files are kept, and `register()` tries
again, as the same request, so that it never registers twice.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from pydantic import ValidationError

from mlreg.client.errors import InvalidError, RefusedError
from mlreg.client.models import Models
from mlreg.client.provenance import capture_environment, capture_git
from mlreg.client.redaction import redact_text
from mlreg.client.signing import configured_signer
from mlreg.client.training.features import contract_of
from mlreg.client.training.footprint import Footprint
from mlreg.client.training.recorder import Recorder
from mlreg.client.training.records import LOG
from mlreg.client.training.sources import Sources
from mlreg.client.transport import JSON, Call, parsed, path
from mlreg.client.versions import Versions
from mlreg.client.wire.validation import first_problem
from mlreg.client.wire.versions import VersionAnswer, VersionRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self, Unpack

    from mlreg.client.transport import Transport
    from mlreg.client.wire.models import FeatureForm
    from mlreg.client.wire.versions import GitForm

Lane = Literal["full", "continue", "refit"]


class Options(TypedDict, total=False):
    """What else may be said of a training.

    Attributes:
        lane: how it trains: `full` (the default), `continue` or `refit`.
        parent: the version that a stateful lane begins from.
        trainer: the program that trains; `lightgbm` for a booster, else the name of the script.
        params: hyperparameters, as `log_params` takes them.
        tags: tags of the version.
        description: what the version is, for people.
        trained_by: who trains, where it is not the bearer of the token.
        allow_missing: fields of the provenance that may lack, and say so for ever.
        code: the working tree of the code; the present folder, where none is named.
        train_start, train_end: the times of the rows, `start ≤ time < end`.
    """

    lane: Lane
    parent: int
    trainer: str
    params: Mapping[str, object]
    tags: Mapping[str, object]
    description: str
    trained_by: str
    allow_missing: Iterable[str]
    code: Path
    train_start: datetime
    train_end: datetime


class Training(Recorder):
    """One training, from the beginning of its block to its registration."""

    def __init__(
        self,
        transport: Transport,
        model: str,
        *,
        features: object = None,
        data: object = None,
        **options: Unpack[Options],
    ) -> None:
        """Remember what is to be recorded; nothing happens before the block begins."""
        super().__init__(Path(tempfile.gettempdir()))
        self.name = model
        self._transport = transport
        self._given = (features, data)
        self._options = options
        self._allowed = set(options.get("allow_missing", ()))
        self._footprint = Footprint()
        self._key = secrets.token_hex(16)
        self._version: VersionAnswer | None = None
        self._git: GitForm | None = None
        self._sources = Sources(None)
        self._contract: list[FeatureForm] | None = None

    @property
    def version(self) -> VersionAnswer:
        """The version that was registered at the end of the block.

        Raises:
            InvalidError: nothing is registered (yet).
        """
        if self._version is None:
            message = f"nothing is registered of this training of {self.name}"
            raise InvalidError(message, code="not_registered")
        return self._version

    def __enter__(self) -> Self:
        """Take what can be taken now, and refuse what would be refused at the end.

        Raises:
            NotFoundError, NotAllowedError, UnreachableError: the model cannot be read.
            RefusedError: the model is archived.
            InvalidError: no commit, no data, no features, and none of them may lack.
        """
        features, data = self._given
        model = Models(self._transport).get(self.name)
        if model.archived_at is not None:
            raise RefusedError(f"model {self.name!r} is archived", code="model_archived")
        self._git = capture_git(self._options.get("code"))
        self._sources = Sources(data)
        self._contract = contract_of(features, model.features, self._sources.tables)
        self._check_known()
        self._root = Path(tempfile.mkdtemp(prefix="mlreg-training-"))
        self.folder = self._root / "stage"
        self.folder.mkdir()
        self.log_params(self._options.get("params", {}))
        for name, value in self._options.get("tags", {}).items():
            self.tag(name, value)
        self._footprint.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Register what was trained, unless the block ended by an error.

        Raises:
            InvalidError: no model was given, or the server refuses the version; the files are kept.
            UnreachableError: the server gave no answer; the files are kept.
        """
        self._footprint.stop()
        if error is not None:
            self._say_lost(error)
            if isinstance(error, SystemExit):
                self._say_left(error)
            shutil.rmtree(self._root, ignore_errors=True)
            return
        try:
            self.register()
        except BaseException as refusal:
            refusal.add_note(f"mlreg: kept in {self._root}; `register()` tries again")
            raise

    def register(self, *, allow_missing: Iterable[str] = ()) -> VersionAnswer:
        """Register what was trained; the end of the block does it, this is for another try.

        Raises:
            InvalidError: no model was given, a field lacks, or it is registered already.
            MlregError: as the server says.
        """
        if self._version is not None:
            number = self._version.number
            raise InvalidError(f"it is registered as {self.name}/{number}", code="registered")
        if self._model is None:
            raise InvalidError(
                "no model was given; nothing was registered",
                code="no_model",
                hint="Call `model(…)` with a booster, a file or a folder.",
            )
        self._allowed |= set(allow_missing)
        for changed in self._sources.changed():
            LOG.warning("mlreg: %s changed after its digest was taken", changed)
            self.log(f"{changed.name} changed after its digest was taken")
        self._version = self._sent(self._model)
        shutil.rmtree(self._root, ignore_errors=True)
        LOG.info("mlreg: registered %s/%d", self.name, self._version.number)
        return self._version

    def _check_known(self) -> None:
        known = {"git": self._git, "data": self._sources.forms, "contract": self._contract}
        hints = {
            "git": "Commit the code, name its folder (code=…)",
            "data": "Give the data (data=…)",
            "contract": "Give the features (features=…), or declare them on the model",
        }
        for field, value in known.items():
            if not value and field not in self._allowed:
                raise InvalidError(
                    f"the training of {self.name} has no {field}",
                    code="incomplete_provenance",
                    hint=f"{hints[field]}, or say so for ever: allow_missing=[{field!r}].",
                )

    def _sent(self, model: Path) -> VersionAnswer:
        """Upload every file and send the one request that makes the version."""
        versions = Versions(self._transport)
        request = self._request(
            files=[file.model_dump() for file in versions.upload(model)],
            stage=[file.model_dump() for file in versions.upload_stage(self._write_stage())],
        )
        signer = configured_signer()
        if signer is not None:
            signature = signer.sign(self.name, request.files)
            request = request.model_copy(update={"signature": signature})
        call = Call(
            "POST",
            path("models", self.name, "versions"),
            content=request.model_dump_json(exclude_unset=True).encode(),
            content_type=JSON,
            headers={"Idempotency-Key": self._key},
        )
        return parsed(self._transport.send(call), VersionAnswer)

    def _request(self, **files: object) -> VersionRequest:
        options, records = self._options, self._records
        provenance = {
            "git": self._git,
            "data": self._sources.forms or None,
            "contract": self._contract,
            "hyperparameters": records.params or None,
            "seeds": self._seeds(),
            "environment": capture_environment(),
            "trainer": options.get("trainer") or self._trainer or _script(),
            "lane": options.get("lane", "full"),
            "parent": options.get("parent"),
            "train_start": options.get("train_start"),
            "train_end": options.get("train_end"),
            "trained_by": options.get("trained_by"),
            "duration_seconds": round(self._footprint.seconds, 3),
            "peak_memory_bytes": self._footprint.peak_bytes,
        }
        try:
            return VersionRequest.model_validate(
                {
                    **files,
                    "provenance": {
                        k: given for k, given in provenance.items() if given is not None
                    },
                    "metrics": records.metrics,
                    "tags": self._tags,
                    "allow_missing": sorted(self._allowed),
                    "description": redact_text(options.get("description", "")),
                }
            )
        except ValidationError as error:
            raise InvalidError(first_problem(error), code="invalid_request") from error

    def _say_left(self, end: SystemExit) -> None:
        """Say on stderr, whatever becomes of the log, that an exit registers nothing.

        An exit out of the block may be a script's "not good enough" as well as its "done": only the
        block's own end registers, and an exit by 0 must not look as if it had.
        """
        status = 0 if end.code is None else end.code
        sys.stderr.write(
            f"mlreg: the training of {self.name} was left by exit {status}, and nothing was"
            " registered: only the end of its block registers\n"
        )

    def _say_lost(self, error: BaseException) -> None:
        said = "was interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        seconds = self._footprint.seconds
        message = f"training {self.name} {said} after {seconds:.0f} s; nothing was registered"
        LOG.warning("mlreg: %s (%s)", message, type(error).__name__)
        error.add_note(f"mlreg: {message}")


def _script() -> str:
    return Path(sys.argv[0]).name or "python"
