"""Routes of a version's stage: its files, and the curves and searches among them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from mlreg.client.wire.versions import (
    CurveAnswer,
    SearchTableAnswer,
    StageAnswer,
    StageFileAnswer,
)
from mlreg.registry.api.context import Reading, Store
from mlreg.registry.api.permission import may
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import catalog, stages
from mlreg.registry.services.stages import ShownStage

router = APIRouter(prefix="/models/{model}/versions/{number}", tags=["versions"])
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.get("/stage", dependencies=[may("read")])
def show_stage(model: str, number: Number, reading: Reading, store: Store) -> StageAnswer:
    """Show what the training of a version left: its files, loss curves and search tables.

    Curves are thinned to what a screen can show, search tables to their first trials; the files
    themselves are downloaded like those of the version.
    """
    with reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, model), number)
        files = stages.list_stage(session, version)
    return answer_of(model, number, stages.read_stage(store, files))


def answer_of(model: str, number: int, stage: ShownStage) -> StageAnswer:
    """Return a stage as it is answered."""
    return StageAnswer(
        model=model,
        number=number,
        files=[StageFileAnswer.model_validate(file, from_attributes=True) for file in stage.files],
        curves=[
            CurveAnswer(
                file=name,
                name=curve.name,
                points=list(curve.points),
                count=curve.count,
                last=curve.last,
                least=curve.least,
                greatest=curve.greatest,
            )
            for name, curves in stage.curves.items()
            for curve in curves
        ],
        searches=[
            SearchTableAnswer(
                file=name,
                columns=list(table.columns),
                rows=[list(row) for row in table.rows],
                count=table.count,
            )
            for name, table in stage.searches.items()
        ],
        problems=stage.problems,
    )
