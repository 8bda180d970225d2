"""Routes of drift."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from mlreg.client.wire.drift import (
    CompareAnswer,
    CompareRequest,
    DriftAnswer,
    DriftMatrix,
    FeatureDrift,
    FeatureSeries,
    Size,
    Width,
)
from mlreg.controller.domain.windows import DAY
from mlreg.controller.services import comparing, drift
from mlreg.controller.services.comparing import ComparisonNotFoundError
from mlreg.controller.services.rollups import LENGTHS
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["drift"])
Word = Annotated[str | None, Query(max_length=200)]
Days = Annotated[int, Query(ge=1, le=400)]
Number = Annotated[int, Path(ge=1, lt=2**63)]
MAX_WINDOWS = 2_000


@router.get("/models/{model}/drift", dependencies=[may("read")])
def show_drift(
    model: str,
    reading: Reading,
    environment: str = "production",
    window: AwareDatetime | None = None,
) -> DriftAnswer:
    """Show how far a window lies from the champion's training rows; by default the newest."""
    with reading() as session:
        catalog.check_environment(session, environment)
        found = drift.newest_drift(session, catalog.get_model(session, model), environment, window)
        return DriftAnswer(
            model=model,
            environment=environment,
            start=found.start,
            end=found.end,
            state=found.state,
            features=[FeatureDrift(feature=feature, **sizes) for feature, sizes in found.features],
        )


@router.get("/models/{model}/drift/matrix", dependencies=[may("read")])
def show_matrix(  # noqa: PLR0913, PLR0917 - what one may choose by
    model: str,
    reading: Reading,
    environment: str = "production",
    days: Days = 14,
    width: Width = "day",
    size: Size = "psi",
    feature: Word = None,
) -> DriftMatrix:
    """Show one effect size of the last windows by features, from their stored profiles."""
    reach = min(days * DAY, MAX_WINDOWS * LENGTHS[width])
    with reading() as session:
        found = catalog.get_model(session, model)
        catalog.check_environment(session, environment)
        report = drift.drift_report(session, found, environment, width, reach)
        verdicts = drift.verdicts_of(session, found, (environment, size), width, report)
    chosen = drift.chosen_columns(report, feature)
    return DriftMatrix(
        model=model,
        environment=environment,
        width=width,
        size=size,
        starts=list(report.starts),
        rows=report.matrix.rows.tolist(),
        features=[
            FeatureSeries(
                feature=name,
                values=report.matrix.series(size, name),
                verdicts=[verdicts.get((start, name)) for start in report.starts],
            )
            for name in chosen
        ],
        whole=[FeatureDrift(feature=name, **asdict(report.whole[name])) for name in chosen],
    )


@router.post(
    "/models/{model}/comparisons",
    status_code=202,
    response_model=CompareAnswer,
    dependencies=[may("run.write")],
)
def request_comparison(
    model: str,
    body: CompareRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for a sample of rows to be compared with the champion's training rows."""

    def act() -> CompareAnswer:
        number = comparing.request_comparison(
            session, catalog.get_model(session, model), asked_of(body), actor=caller, now=now
        )
        return answer_of(comparing.get_comparison(session, number))

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/comparisons/{number}", dependencies=[may("read")])
def show_comparison(number: Number, reading: Reading, caller: Caller) -> CompareAnswer:
    """Show a comparison of rows."""
    with reading() as session:
        found = comparing.get_comparison(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=ComparisonNotFoundError(number=number))
    return answer_of(found)


def asked_of(body: CompareRequest) -> comparing.Asked:
    """Return what a request asks."""
    return comparing.Asked(
        question=body.question,
        environment=body.environment,
        start=body.start,
        end=body.end,
        features=None if body.features is None else tuple(body.features),
        rows=body.rows,
        seed=body.seed,
    )


def answer_of(found: comparing.Comparison) -> CompareAnswer:
    """Return a comparison as it is answered."""
    return CompareAnswer(
        number=found.number, state=found.state, error=found.error, found=found.found
    )
