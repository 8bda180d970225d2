"""Pages of one version: what an auditor asks, what its training left, its card, what is new."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response

from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.card_texts import parts_of, printable, title_of
from mlreg.registry.domain.flavours import is_unsafe
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import attestations, cards, catalog, signing, stages
from mlreg.registry.services.cards import FindTimes
from mlreg.registry.services.comparison import compare_versions
from mlreg.registry.web import differences
from mlreg.registry.web.charts import HEIGHT, LEFT, RIGHT, TOP, WIDTH, charts_of
from mlreg.registry.web.rendering import PageRoute, database_of, page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP}


@router.get("/models/{model}/versions/{number}")
def version_page(model: str, number: Number, request: Request) -> Response:
    """Show a version: its provenance, its files, its loss curves and searches."""
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        version = catalog.get_version(session, found, number)
        manifest = catalog.get_manifest(session, version)
        contract = catalog.find_feature_contract(session, version)
        attested = attestations.list_attestations(session, version)
        signed = signing.list_signatures(session, version)
        staged = stages.list_stage(session, version)
        data = cards.data_of(session, version, _find_times(request))
        before = catalog.list_versions(session, found, before=number, limit=1).items
    stage = stages.read_stage(cast("ArtifactStore", request.app.state.parts.store), staged)
    return page(
        "version.html",
        model=found,
        version=version,
        unsafe=is_unsafe(version.flavour),
        files=manifest.files,
        features=contract.features if contract else (),
        data=data,
        attestations={one.kind: one for one in reversed(attested)}.values(),
        signed_by=[(key.name, signing.is_trusted(key, model)) for _, key in signed],
        others=sorted({*([version.parent] if version.parent else []), *(v.number for v in before)}),
        stage=stage,
        charts={name: charts_of(curves) for name, curves in stage.curves.items()},
        frame=FRAME,
    )


@router.get("/models/{model}/versions/{number}/card")
def card_page(model: str, number: Number, request: Request) -> Response:
    """Show the model card of a version."""
    with database_of(request).reading() as session:
        card = cards.make_card(session, model, number, _find_times(request))
    return page(
        "card.html", card=card, title=title_of(card), parts=parts_of(card), printable=printable
    )


@router.get("/models/{model}/versions/{number}/diff/{other}")
def difference_page(model: str, number: Number, other: Number, request: Request) -> Response:
    """Show what differs from one version to another."""
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        diff = compare_versions(session, model, number, other)
    return page(
        "difference.html",
        model=found,
        before=number,
        after=other,
        code=diff.code,
        parts=differences.parts_of(diff),
    )


def _find_times(request: Request) -> FindTimes | None:
    return cast("FindTimes | None", request.app.state.parts.snapshot_times)
