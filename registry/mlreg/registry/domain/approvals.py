"""The rules of approvals: whose word counts, for what, and how many are lacking.

Pure: the service reads, asks these rules, and writes.

What always holds: a word is about these bytes, this decision and this champion, and about nothing
that comes after; nobody's own approval helps a version that they made, or a promote that is theirs;
anybody's rejection stands against it until it is withdrawn, or a new decision is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Verdict = Literal["approved", "rejected"]
MAX_APPROVALS = 10


class ApprovalRequiredError(RefusedError):
    """A promote without the approvals that its deployment asks for."""

    code = "approval_required"

    def __init__(
        self, *, model: str, version: int, environment: str, given: int, required: int
    ) -> None:
        lacking = required - given
        super().__init__(
            f"{model}/{version} has {given} of the {required} approvals that a promote in"
            f" {environment} needs: {lacking} lacking"
        )
        approve = command("approve", model, version, environment)
        self.hint = (
            f"Whoever neither made nor promotes it: `{approve}`;"
            f" `mlreg approval list {model}` shows who has."
        )


class ApprovalRejectedError(RefusedError):
    """A promote of what an approver has rejected."""

    code = "approval_rejected"
    hint = "`mlreg approval withdraw` takes a rejection back; a new decision ends it."

    def __init__(
        self, *, model: str, version: int, environment: str, objectors: Sequence[str]
    ) -> None:
        who = " and ".join(objectors)
        super().__init__(f"{model}/{version} in {environment} was rejected by {who}")


class AskerBarredError(RefusedError):
    """Who asked for a promote that waits can stand behind it no longer."""

    code = "asker_barred"
    hint = "Whoever may promote can do it now, for the approvals are there: `mlreg promote`."

    def __init__(self, *, asker: str, problem: str) -> None:
        super().__init__(f"{asker}, who asked for it, {problem}; whoever may promote can do it")


class OwnVersionError(RefusedError):
    """Somebody wants to approve what they made."""

    code = "own_version"
    hint = "Ask somebody else with the role approver."

    def __init__(self, *, model: str, version: int, approver: str) -> None:
        super().__init__(f"{approver} made {model}/{version} and cannot approve it")


class DecisionOutdatedError(RefusedError):
    """A word on a decision that is not what a promote would go by now."""

    code = "decision_outdated"
    hint = "`mlreg decision list MODEL` shows the newest; a champion that changed ends all of them."

    def __init__(self, *, decision: int, model: str, version: int) -> None:
        super().__init__(f"decision {decision} no longer decides on {model}/{version}")


class ApprovalNotFoundError(NotFoundError):
    """There is no approval of that number in the deployment."""

    code = "approval_not_found"
    hint = "`mlreg approval list MODEL` shows what there is."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"there is no approval {number} here")


class NotYourApprovalError(RefusedError):
    """Only who gave a word, or who protects the deployment, takes it back."""

    code = "not_your_approval"

    def __init__(self, *, number: int, approver: str) -> None:
        super().__init__(f"approval {number} is {approver}'s")


@dataclass(frozen=True, slots=True)
class Word:
    """What one approver says; that it is about the present is for the reader to see to."""

    approver: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Whose approval counts, and who objects, by name."""

    approvers: tuple[str, ...]
    objectors: tuple[str, ...]

    def suffices(self, required: int) -> bool:
        """Whether a promote that needs so many approvals may go on."""
        return not self.objectors and len(self.approvers) >= required


def tally(words: Iterable[Word], *, authors: Collection[str], promoter: str) -> Tally:
    """Count the words that are about the present."""
    words, own = list(words), {*authors, promoter}
    said = {
        verdict: {word.approver for word in words if word.verdict == verdict}
        for verdict in ("approved", "rejected")
    }
    return Tally(tuple(sorted(said["approved"] - own)), tuple(sorted(said["rejected"])))


def command(verb: str, model: str, version: int, environment: str) -> str:
    """Return the command line that does a verb to a version."""
    where = "" if environment == "production" else f" --env {environment}"
    return f"mlreg {verb} {model} {version}{where}"
