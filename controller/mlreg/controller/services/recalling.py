"""The registry as memory: an older version may be what a retrain would only make again.

What always holds: nothing older is promoted on other terms than something new: it is judged by the
same gates, on rows that neither it nor its ancestors were trained on and that did not help to find
it; whatever goes wrong with an older version is a line in the log, and the run trains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlreg.controller.domain.remembering import MemoryRule, best_of, halves, spread_versions
from mlreg.controller.domain.snapshots import clipped
from mlreg.controller.services import snapshots
from mlreg.controller.services.ancestry import trained_until
from mlreg.controller.services.judging_run import (
    Judged,
    Question,
    judge_challenger,
)
from mlreg.controller.services.run_folder import (
    ChildCall,
    ChildCrashedError,
    ChildOverLimitError,
    ChildRefusedError,
    ModelSource,
    call_child,
    files_of,
    find_source,
    open_folder,
    place_model,
    write_rows,
)
from mlreg.controller.services.run_log import RunLogWriter
from mlreg.controller.services.snapshot_rows import read_rows
from mlreg.controller.services.snapshots import Snapshot
from mlreg.controller.store import remembered as rows
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import RefusedError, RegistryError, UnavailableError
from mlreg.registry.services import catalog, deployments
from mlreg.registry.store.deployments import list_all_barred
from mlreg.registry.store.tables import Model, Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.database import ReadSession

ENTRY = "mlreg.controller.trainers.recall_child:measure"
ROWS = "recall.parquet"
Metrics = dict[int, dict[str, float]]
CHILD_FAILED = (ChildCrashedError, ChildOverLimitError, ChildRefusedError)


@dataclass(frozen=True, slots=True)
class Recalling:
    """What is looked for.

    Attributes:
        snapshot: the rows of the evaluation; half of them look, half of them judge.
        question: what a challenger is asked; its challenger and its rows are put in here.
    """

    model: Model
    rule: MemoryRule
    snapshot: Snapshot
    question: Question
    actor: Actor
    log: RunLogWriter


@dataclass(frozen=True, slots=True)
class Recalled:
    """An older version that passed the gates, and the rows that it passed them on."""

    number: int
    judged: Judged
    snapshot: Snapshot


def recall(attempt: Attempt, recalling: Recalling) -> Recalled | None:
    """Return an older version that is accepted as it is, None when something is to be trained.

    Raises:
        StoreUnreachableError, HaltedError: another attempt may go well.
    """
    try:
        return _find(attempt, recalling)
    except RefusedError as error:
        recalling.log.say(f"no older version can be judged: {error}")
        return None


def _find(attempt: Attempt, recalling: Recalling) -> Recalled | None:
    cut = halves(recalling.snapshot.body.range)
    with attempt.database.reading() as session:
        champion, known = _candidates(session, recalling, recalling.snapshot.body.range.start)
    if cut is None or champion is None or not known:
        recalling.log.say("no older version can be looked at: it trains")
        return None
    looked_at, judged_on = (_freeze_half(attempt, recalling, half) for half in cut)
    metrics = _measured(attempt, recalling, looked_at, [champion, *known])
    metric = recalling.rule.metric_for(recalling.model.task)
    values = {number: found.get(metric) for number, found in metrics.items()}
    best = best_of(values, champion.number, metric)
    shown = ", ".join(f"{number}: {value:.4g}" for number, value in values.items() if value)
    recalling.log.say(f"{metric} of versions on the newest rows: {shown}")
    if best is None:
        recalling.log.say("no older version does better than the champion: it trains")
        return None
    return _judge(attempt, recalling, best, judged_on)


def _candidates(
    session: ReadSession, recalling: Recalling, start: datetime
) -> tuple[Version | None, list[Version]]:
    """Return the champion, and older versions that may come back and know none of the rows."""
    model, environment = recalling.model, recalling.question.environment
    state = deployments.find_deployment(session, model.name, environment)
    if state is None or state.champion is None:
        return None, []
    champion = catalog.get_version(session, model, state.champion)
    barred = list_all_barred(session, [state.deployment_id]).get(state.deployment_id, [])
    former = rows.former_champions(session, state.deployment_id)
    numbers = set(former) - set(barred) - {champion.number}
    found = rows.versions_of_contract(
        session, catalog.id_of(model), champion.feature_contract or "", numbers
    )
    unknowing = {
        one.number: one
        for one in found
        if (end := trained_until(session, model, one)) is not None and end <= start
    }
    chosen = spread_versions(list(unknowing), recalling.rule.versions)
    return champion, [unknowing[number] for number in chosen]


def _freeze_half(attempt: Attempt, recalling: Recalling, half: Interval) -> Snapshot:
    """Write a half of the evaluation down as a snapshot of its own."""
    body = recalling.snapshot.body
    part = replace(body, range=half, excluded=clipped(body.excluded, half))
    with attempt.effect() as session:
        return snapshots.keep(
            session, recalling.model, part, actor=recalling.actor, now=attempt.clock.now()
        )


def _measured(
    attempt: Attempt, recalling: Recalling, snapshot: Snapshot, versions: list[Version]
) -> Metrics:
    """Return how each version does on the rows; those that did before are not asked again."""
    model_id, numbers = catalog.id_of(recalling.model), [one.number for one in versions]
    with attempt.database.reading() as session:
        known: Metrics = rows.find_metrics(session, model_id, snapshot.digest, numbers)
        sources = [find_source(session, one) for one in versions if one.number not in known]
    new = [source for source in sources if source is not None]
    found = ask_apart(lambda some: _ask(attempt, recalling, snapshot, some), new, recalling.log.say)
    with attempt.effect() as session:
        rows.keep_metrics(session, model_id, snapshot.digest, found, attempt.clock.now())
    return {**known, **found}


def ask_apart(
    ask: Callable[[list[ModelSource]], Metrics],
    sources: list[ModelSource],
    say: Callable[[str], None],
) -> Metrics:
    """Return the metrics of all versions, asked one by one where their child does not survive all.

    A version whose file ends its child is left out: it must neither end the run nor hide others.
    """
    if not sources:
        return {}
    try:
        return ask(sources)
    except CHILD_FAILED as error:
        if len(sources) == 1:
            say(f"version {sources[0].number} is left out: {error}")
            return {}
    found: Metrics = {}
    for one in sources:
        found |= ask_apart(ask, [one], say)
    return found


def _ask(
    attempt: Attempt, recalling: Recalling, snapshot: Snapshot, sources: list[ModelSource]
) -> Metrics:
    """Score the versions in a child, in a folder of their own."""
    table = read_rows(attempt.sources, recalling.model, snapshot.body)
    with open_folder(attempt, "recall") as folder:
        write_rows(folder, ROWS, table)
        placed = [one for one in sources if _place(attempt, recalling, one, folder)]
        if not placed:
            return {}
        job = {
            "format": 1,
            "data": [ROWS],
            "models": [
                {"role": _role(one.number), **files_of(_role(one.number), one, attempt.commands)}
                for one in placed
            ],
            "target": catalog.target_contract_of(recalling.model).to_json(),
        }
        answer = call_child(attempt, folder, ChildCall(ENTRY, job, recalling.log.add))
    return {one.number: dict(answer.result["metrics"][_role(one.number)]) for one in placed}


def _place(attempt: Attempt, recalling: Recalling, source: ModelSource, folder: Path) -> bool:
    """Write a version's files, verified; say whether they are what they should be."""
    try:
        place_model(attempt.store, source, folder, _role(source.number))
    except UnavailableError:
        raise
    except RegistryError as error:
        recalling.log.say(f"version {source.number} is left out: {error}")
        return False
    return True


def _role(number: int) -> str:
    return f"v{number}"


def _judge(
    attempt: Attempt, recalling: Recalling, number: int, snapshot: Snapshot
) -> Recalled | None:
    question = replace(recalling.question, challenger=number, snapshot=snapshot)
    try:
        with open_folder(attempt, "recalled") as folder:
            judged = judge_challenger(attempt, folder, question)
    except CHILD_FAILED as error:
        recalling.log.say(f"version {number} does best, but cannot be judged: {error}")
        return None
    verdict = judged.judgement["verdict"]
    if verdict != "accepted":
        reason = judged.judgement.get("reason", "")
        recalling.log.say(f"version {number} does best, but is {verdict}: {reason}")
        return None
    recalling.log.say(f"version {number} comes back: nothing is trained")
    return Recalled(number, judged, snapshot)
