"""Telling the operator's targets, through Apprise, in a child that has a bounded time.

What always holds: from start to end at most `CHILD_SECONDS`, whatever the service does, then the
child is killed; it gets the one URL that it needs, over stdin, and its output is thrown away but
for one line of ours, so that no secret comes into a log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.registry.domain.errors import NotFoundError, UnavailableError
from mlreg.registry.domain.notice_targets import SCHEME

if TYPE_CHECKING:
    from mlreg.registry.domain.notice_targets import NoticeTargets

CHILD = Path(__file__).with_name("apprise_child.py")
CHILD_SECONDS = 20.0
MAX_CAUSE = 200


class TargetNotFoundError(NotFoundError):
    """This server has no target of that name."""

    code = "target_not_found"
    hint = "Targets stand in the file that MLREG_NOTIFICATIONS_FILE names, of every worker and API."

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no target {name!r} is declared on this server")


class NotTakenError(UnavailableError):
    """A target's service did not take a notice."""

    code = "notice_not_taken"

    def __init__(self, *, name: str, cause: str) -> None:
        super().__init__(f"target {name}: {cause}")


def notify(targets: NoticeTargets, place: str, letter: bytes) -> None:
    """Hand a letter of kind `apprise` to the target that a place (`apprise:<name>`) names.

    Raises:
        TargetNotFoundError: it is not declared here.
        NotTakenError: its service did not take it, or took too long.
    """
    name = place.removeprefix(SCHEME)
    target = targets.by_name.get(name)
    if target is None:
        raise TargetNotFoundError(name=name)
    asked = {**json.loads(letter), "url": target.url.get_secret_value()}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and file, no shell
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(asked),
            env={"PATH": os.defpath, **targets.environment},
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
            check=False,
            start_new_session=True,
        )
        cause = str(json.loads(ended.stdout.splitlines()[-1])["cause"])
    except subprocess.TimeoutExpired:
        raise NotTakenError(name=name, cause=f"no end after {CHILD_SECONDS:.0f} seconds") from None
    except (ValueError, IndexError, KeyError):
        raise NotTakenError(name=name, cause="Apprise did not work") from None
    if cause:
        raise NotTakenError(name=name, cause=cause[:MAX_CAUSE])
