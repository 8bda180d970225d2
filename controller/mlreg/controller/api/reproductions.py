"""Routes of reproductions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.attestations import ReproduceRequest, ReproductionAnswer
from mlreg.controller.services import reproductions
from mlreg.controller.services.reproductions import Reproduction, ReproductionNotFoundError
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services import catalog

router = APIRouter(tags=["reproductions"])
Number = Annotated[int, Path(ge=1, lt=2**63)]
VersionNumber = Annotated[int, Path(ge=1, lt=2**31)]


@router.post(
    "/models/{model}/versions/{version}/reproduce",
    status_code=202,
    response_model=ReproductionAnswer,
    dependencies=[may("run.write")],
)
def request_reproduction(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    version: VersionNumber,
    body: ReproduceRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for a version to be rebuilt from its record and compared tree by tree."""

    def act() -> ReproductionAnswer:
        found = catalog.get_model(session, model)
        number = reproductions.request_reproduction(
            session, found, version, deep=body.deep, actor=caller, now=now
        )
        return answer_of(reproductions.get_reproduction(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/reproductions/{number}", dependencies=[may("read")])
def show_reproduction(number: Number, reading: Reading, caller: Caller) -> ReproductionAnswer:
    """Show how far a reproduction is, or what it found."""
    with reading() as session:
        found = reproductions.get_reproduction(session, number)
    permit(caller, "read", found.model, unseen=ReproductionNotFoundError(number=number))
    return answer_of(found)


def answer_of(found: Reproduction) -> ReproductionAnswer:
    """Return a reproduction as it is answered."""
    return ReproductionAnswer.model_validate(
        {
            "number": found.number,
            "model": found.model,
            "version": found.version,
            "deep": found.deep,
            "state": found.state,
            "error": found.error,
            **found.progress,
        }
    )
