"""Lineage as OpenLineage run events: each noun that came of others is a run of a job.

What always holds: the same thing has the same run id for ever (a UUID made of its name), so that
an event that is told twice is one event; the events are made of the library's own classes and
written by its own serialiser.

| what came to be | job | inputs | outputs |
|---|---|---|---|
| segment | `MODEL.compact` | segments | segment |
| snapshot | `MODEL.freeze` | segments | snapshot |
| run, and the version it made | `MODEL.train` | snapshot, parent version | version |
| version, by hand | `MODEL.register` | snapshots, parent version | version |
| decision | `MODEL.judge` | versions, snapshot | decision |
| revision | `MODEL.deploy.ENVIRONMENT` | version, decision | deployment |
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version as version_of_package
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_type_dataset,
    dataset_version_dataset,
    error_message_run,
    execution_parameters_run,
    job_type_job,
    nominal_time_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
)
from openlineage.client.serde import Serde

from mlreg.controller.services.lineage_sinks import NAMESPACE
from mlreg.controller.store.lineage_export import Records, load_records
from mlreg.registry.domain.lineage import Edge, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mlreg.controller.store.tables import Run as RunRow
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Decision, Version

PRODUCER = f"urn:mlreg:{version_of_package('mlreg')}"
_ENDS = {"failed": RunState.FAIL, "dead": RunState.FAIL, "cancelled": RunState.ABORT}
_TYPES = {"train": "TRAINING", "judge": "EVALUATION", "deploy": "DEPLOYMENT"}


def events_of(
    session: ReadSession, edges: Iterable[Edge], namespace: str = NAMESPACE
) -> list[dict[str, Any]]:
    """Return the run events that some arrows tell, in the order of their times, as plain JSON.

    Targets whose row is not there any more tell nothing.
    """
    arrows = list(edges)
    nodes = {edge.source for edge in arrows} | {edge.target for edge in arrows}
    room = _Room(load_records(session, nodes), namespace)
    sources: dict[Node, list[Node]] = defaultdict(list)
    for edge in sorted(arrows):
        sources[edge.target].append(edge.source)
    events = [event for target, used in sources.items() for event in room.tell(target, used)]
    events.sort(key=lambda event: (event.eventTime, event.eventType != RunState.START))
    return [Serde.to_dict(event) for event in events]


@dataclass(frozen=True, slots=True)
class _Room:
    """What events are made from."""

    records: Records
    namespace: str

    def tell(self, target: Node, used: Sequence[Node]) -> Iterable[RunEvent]:
        """Yield the events of what came to be."""
        tellers: dict[str, Callable[[str, Sequence[Node]], Iterable[RunEvent]]] = {
            "segment": self._segment,
            "snapshot": self._snapshot,
            "run": self._run,
            "version": self._version,
            "decision": self._decision,
            "revision": self._revision,
        }
        return tellers[target.kind](target.name, used) if target.kind in tellers else ()

    def _segment(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        row = self.records.segments.get(name)
        if row is not None:
            job = self._job(row.model_id, "compact")
            yield self._event(f"segment:{name}", row.created_at, job, used, Node("segment", name))

    def _snapshot(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        row = self.records.snapshots.get(name)
        if row is not None:
            job = self._job(row.model_id, "freeze")
            yield self._event(f"snapshot:{name}", row.created_at, job, used, Node("snapshot", name))

    def _run(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        row = self.records.runs.get(name)
        if row is None:
            return
        job = self._job(row.model_id, "train", row.specification.get("git"))
        started = self._event(f"run:{name}", row.started_at or row.created_at, job, used)
        started.eventType = RunState.START
        started.run.facets = {"nominalTime": _nominal(row.created_at)}
        yield started
        if row.state in _ENDS:
            ended = self._event(f"run:{name}", row.ended_at or row.created_at, job, used)
            ended.eventType = _ENDS[row.state]
            ended.run.facets = {"errorMessage": _error(row)}
            yield ended

    def _version(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        row = self.records.versions.get(name)
        if row is None:
            return
        by_run = row.run_id is not None
        job = self._job(row.model_id, "train" if by_run else "register", row.git)
        key = f"run:{row.run_id}" if by_run else f"version:{name}"
        event = self._event(key, row.created_at, job, used, Node("version", name))
        event.run.facets = _training(row)
        yield event

    def _decision(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        row = self.records.decisions.get(name)
        if row is None:
            return
        job = self._job(row.model_id, "judge")
        event = self._event(f"decision:{name}", row.created_at, job, used, Node("decision", name))
        challenger = f"{self._model(row.model_id)}/{row.challenger}"
        for dataset in event.inputs or ():
            if dataset.name == challenger:
                dataset.inputFacets = {"dataQualityAssertions": _assertions(row)}
        yield event

    def _revision(self, name: str, used: Sequence[Node]) -> Iterable[RunEvent]:
        found = self.records.revisions.get(name)
        if found is None:
            return
        row, model_id = found
        place, _, number = name.rpartition("/")
        job = self._job(model_id, f"deploy.{place.partition(':')[2]}")
        event = self._event(f"revision:{name}", row.at, job, used)
        version = dataset_version_dataset.DatasetVersionDatasetFacet(number, producer=PRODUCER)
        event.outputs = [OutputDataset(self.namespace, place, facets={"version": version})]
        yield event

    def _event(
        self,
        key: str,
        at: datetime,
        job: Job,
        used: Sequence[Node],
        made: Node | None = None,
    ) -> RunEvent:
        outputs = [] if made is None else [OutputDataset(**self._dataset(made))]
        return RunEvent(
            eventTime=at.isoformat(),
            producer=PRODUCER,
            run=Run(str(uuid5(NAMESPACE_URL, f"{self.namespace}/{key}"))),
            job=job,
            eventType=RunState.COMPLETE,
            inputs=[self._input(node) for node in used if node.kind not in {"run", "contract"}],
            outputs=outputs,
        )

    def _job(self, model_id: int, verb: str, git: Any = None) -> Job:  # noqa: ANN401 - a JSON document
        kind = _TYPES.get(verb.partition(".")[0], verb.upper())
        facets: dict[str, Any] = {
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "MLREG", kind, producer=PRODUCER)
        }
        if git and git.get("remote"):
            facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
                "git",
                git["remote"],
                repoUrl=git["remote"],
                version=git.get("commit"),
                producer=PRODUCER,
            )
        return Job(self.namespace, f"{self._model(model_id)}.{verb}", facets)

    def _model(self, model_id: int) -> str:
        return self.records.models[model_id].name

    def _input(self, node: Node) -> InputDataset:
        counted = self._rows_of(node)
        facets: dict[str, Any] = {} if counted is None else {"dataQualityMetrics": counted}
        return InputDataset(**self._dataset(node), inputFacets=facets)

    def _dataset(self, node: Node) -> dict[str, Any]:
        facets: dict[str, Any] = {}
        version = self.records.versions.get(node.name) if node.kind == "version" else None
        if version is not None:
            facets["datasetType"] = dataset_type_dataset.DatasetTypeDatasetFacet(
                "MODEL", version.flavour, producer=PRODUCER
            )
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
                version.manifest_digest, producer=PRODUCER
            )
        fields = self._fields_of(node)
        if fields:
            facets["schema"] = schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
        name = node.name if node.kind == "version" else f"{node.kind}/{node.name}"
        return {"namespace": self.namespace, "name": name, "facets": facets}

    def _fields_of(self, node: Node) -> list[schema_dataset.SchemaDatasetFacetFields]:
        """Return the features of a version by its contract, of a snapshot by its model."""
        features: list[dict[str, Any]] = []
        if node.kind == "version" and node.name in self.records.versions:
            digest = self.records.versions[node.name].feature_contract
            contract = self.records.contracts.get(digest or "")
            features = [] if contract is None else contract.body.get("features", [])
        if node.kind == "snapshot" and node.name in self.records.snapshots:
            model = self.records.models[self.records.snapshots[node.name].model_id]
            features = model.feature_schema or []
        return [
            schema_dataset.SchemaDatasetFacetFields(str(one["name"]), str(one.get("dtype", "")))
            for one in features
        ]

    def _rows_of(
        self, node: Node
    ) -> data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet | None:
        row = self.records.segments.get(node.name) if node.kind == "segment" else None
        if row is None:
            return None
        return data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            {}, rowCount=row.rows, bytes=row.size, fileCount=1, producer=PRODUCER
        )


def _nominal(asked: datetime) -> nominal_time_run.NominalTimeRunFacet:
    return nominal_time_run.NominalTimeRunFacet(asked.isoformat(), producer=PRODUCER)


def _error(row: RunRow) -> error_message_run.ErrorMessageRunFacet:
    said = row.error or row.state
    return error_message_run.ErrorMessageRunFacet(said, "python", producer=PRODUCER)


def _training(row: Version) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    name, _, release = (row.trainer or "").partition("/")
    if release:
        facets["processing_engine"] = processing_engine_run.ProcessingEngineRunFacet(
            release, name, PRODUCER, producer=PRODUCER
        )
    if row.hyperparameters:
        parameters = [
            execution_parameters_run.ExecutionParameter(key, key, value=str(value))
            for key, value in sorted(row.hyperparameters.items())
        ]
        facets["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(
            parameters, producer=PRODUCER
        )
    return facets


def _assertions(
    row: Decision,
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    """Return the gates that a challenger was asked, and whether it passed each."""
    gates = row.evidence.get("gates", [])
    found = [
        data_quality_assertions_dataset.Assertion(
            str(gate["gate"]),
            gate["outcome"] == "pass",
            description=f"{gate['outcome']}: {gate['reason']}",
        )
        for gate in gates
    ]
    verdict = data_quality_assertions_dataset.Assertion("verdict", row.verdict == "accepted")
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        [*found, verdict], producer=PRODUCER
    )
