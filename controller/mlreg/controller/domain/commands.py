"""Trainer commands: programs of any framework that an operator lets workers train with, by name.

```yaml
xgboost:
  train: [/srv/xgb/.venv/bin/python, /srv/xgb/train.py]
  predict: [/srv/xgb/.venv/bin/python, /srv/xgb/predict.py]
  lock: /srv/xgb/requirements.lock
  lanes: [full, continue]
```

What always holds: what is run is what the file says; a policy names a command and gives it
parameters, and never a program, an argument or a variable of its environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from mlreg.controller.domain.lanes import Lane
from mlreg.registry.domain.errors import NotAllowedError, NotFoundError
from mlreg.registry.domain.names import Name

HINT = "Commands are declared in the file that MLREG_TRAINER_COMMANDS names, on each worker."
MOST_WORDS = 100


def _checked_absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        message = "must be an absolute path"
        raise ValueError(message)
    return path


def _checked_words(words: tuple[str, ...]) -> tuple[str, ...]:
    _checked_absolute(words[0])
    return words


AbsolutePath = Annotated[str, AfterValidator(_checked_absolute)]
Words = Annotated[
    tuple[str, ...], Field(min_length=1, max_length=MOST_WORDS), AfterValidator(_checked_words)
]
"""A program by its absolute path, and its first arguments."""


class CommandNotFoundError(NotFoundError):
    """The worker knows no command of that name."""

    code = "trainer_command_not_found"
    hint = HINT

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no trainer command {name[:80]!r} is declared on this worker")


class CommandNotAllowedError(NotAllowedError):
    """The command is not for this model."""

    code = "trainer_command_not_allowed"
    hint = HINT

    def __init__(self, *, name: str, model: str) -> None:
        super().__init__(f"the trainer command {name!r} is not declared for model {model!r}")


class _Program(BaseModel):
    """What is run, and how it is confined.

    Attributes:
        train: gets the path of its folder as its last argument.
        predict: so too.
        folder: where both run; None: in the folder that they are given.
        environment: all that they see beside PATH, LANG and TZ; no secret, it is in the digest.
        network: whether they may use it.
        writes: folders that they may write to beside their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Words
    predict: Words
    folder: AbsolutePath | None = None
    environment: Mapping[str, str] = Field(default_factory=dict)
    network: bool = False
    writes: tuple[AbsolutePath, ...] = ()


class TrainerCommand(_Program):
    """A command as the operator declares it.

    Attributes:
        lock: the file that says which packages it runs with; without one nothing that it makes is
            reproducible.
        lanes: those that it can do; the lane `full` is always among them.
        models: that may be trained with it; None is all.
    """

    lock: AbsolutePath | None = None
    lanes: tuple[Lane, ...] = ("full",)
    models: tuple[Name, ...] | None = None


class SealedCommand(_Program):
    """A command as a job has it: what is run, and the digests of it.

    Attributes:
        digest: of the declaration and of every file that it names.
        lock_digest: None without a lock.
    """

    name: str
    digest: str
    lock_digest: str | None = None


FORM: TypeAdapter[dict[Name, TrainerCommand]] = TypeAdapter(dict[Name, TrainerCommand])
"""The form of the file: name → command."""


@dataclass(frozen=True, slots=True)
class Commands:
    """All trainer commands of a worker, by name."""

    by_name: Mapping[str, TrainerCommand] = field(default_factory=dict)

    def find(self, name: str) -> TrainerCommand:
        """Return the command of a name, to score with what it trained.

        Raises:
            CommandNotFoundError: there is none.
        """
        if name not in self.by_name:
            raise CommandNotFoundError(name=name)
        return self.by_name[name]

    def get(self, name: str, model: str) -> TrainerCommand:
        """Return the command of a name, to train a model with.

        Raises:
            CommandNotFoundError: there is none.
            CommandNotAllowedError: it is not for this model.
        """
        found = self.find(name)
        if found.models is not None and model not in found.models:
            raise CommandNotAllowedError(name=name, model=model)
        return found
