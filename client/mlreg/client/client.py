"""`Client`: one server, one token, one attribute per noun. The composition root of the client.

The nouns are imported when they are first used, so that a short command pays for what it needs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlreg.client.credentials import find_credentials
from mlreg.client.errors import NotAllowedError
from mlreg.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self, Unpack

    from mlreg.client.alerts import Alerts
    from mlreg.client.approvals import Approvals
    from mlreg.client.audit import Audit
    from mlreg.client.backtests import Backtests
    from mlreg.client.cards import Cards
    from mlreg.client.cleanup import Cleanup
    from mlreg.client.clock import VirtualClock
    from mlreg.client.costs import Costs
    from mlreg.client.decisions import Decisions
    from mlreg.client.deployments import Deployments
    from mlreg.client.drift import Drift
    from mlreg.client.environments import Environments
    from mlreg.client.explanations import Explanations
    from mlreg.client.feedback import FeedbackLog
    from mlreg.client.incidents import Incidents
    from mlreg.client.invariants import Invariants
    from mlreg.client.keys import Keys
    from mlreg.client.lineage import Lineage
    from mlreg.client.members import Members
    from mlreg.client.models import Models
    from mlreg.client.monitors import Monitors
    from mlreg.client.oidc import Issuers
    from mlreg.client.parity import Parity
    from mlreg.client.policies import Policies
    from mlreg.client.portable import PortableVersions
    from mlreg.client.reproductions import Reproductions
    from mlreg.client.runs import Runs
    from mlreg.client.snapshots import Snapshots
    from mlreg.client.tokens import Tokens
    from mlreg.client.training.context import Options, Training
    from mlreg.client.triggers import Triggers
    from mlreg.client.versions import Versions
    from mlreg.client.webhooks import Events, Webhooks
    from mlreg.client.wire.versions import VersionAnswer


class NoCredentialsError(NotAllowedError):
    """Neither the environment nor the credentials file names a token."""

    def __init__(self) -> None:
        super().__init__(
            "no token for a server is known here",
            code="no_credentials",
            hint=(
                "`mlreg up` starts one on this machine and logs you in;"
                " else use `mlreg login URL`, or set MLREG_URL and MLREG_TOKEN."
            ),
        )


class Client:
    """A registry and controller, over HTTP.

    ```python
    with Client.from_environment() as client:
        print(client.versions.champion("flights").number)
    ```
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 60.0) -> None:
        self.transport = Transport(url, token, timeout_seconds=timeout_seconds)

    @classmethod
    def from_environment(cls, *, timeout_seconds: float = 60.0) -> Self:
        """Open the server of MLREG_URL and MLREG_TOKEN, else of the credentials file.

        Raises:
            NoCredentialsError: neither says enough.
        """
        credentials = find_credentials()
        if credentials is None:
            raise NoCredentialsError
        return cls(credentials.url, credentials.token, timeout_seconds=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.transport.close()

    def training(
        self,
        model: str,
        *,
        features: object = None,
        data: object = None,
        **options: Unpack[Options],
    ) -> Training:
        """Record a training and register what came of it, at the end of a `with` block.

        Args:
            model: the name of a model that exists.
            features: names, forms or a file of them, in the order of the model's input; None takes
                those that the model declares. Open dtypes and categories come from the data.
            data: what it trains on, each part by name: a snapshot, its digest, a file or folder, or
                a table in memory. Digests, sizes and row counts are recorded, never the rows.
            options: lane, parent, params, tags … (`mlreg.client.training.context.Options`).

        Raises:
            MlregError: at the beginning, where the end would be refused; see `Training`.
        """
        from mlreg.client.training.context import Training

        return Training(self.transport, model, features=features, data=data, **options)

    def search(self, query: str) -> Iterator[VersionAnswer]:
        """Iterate over the versions of all models for which a query holds, the newest first.

        Pages are fetched as they are needed. The language is described in docs/reference/search.md.

        ```python
        for version in client.search("features:temp metric.auc>=0.8 created>2026-01-01"):
            print(version.model, version.number, version.metrics["auc"])
        ```

        Raises:
            InvalidError: the query breaks a rule (`invalid_query`); the message names the column.
        """
        from mlreg.client.paging import walk_pages

        return walk_pages(lambda cursor: self.versions.search(query, cursor=cursor))

    @cached_property
    def lineage(self) -> Lineage:
        """Lineage: what things were made of, and what came of them."""
        from mlreg.client.lineage import Lineage

        return Lineage(self.transport)

    @cached_property
    def models(self) -> Models:
        """Models: create, list, show, archive."""
        from mlreg.client.models import Models

        return Models(self.transport)

    @cached_property
    def portable(self) -> PortableVersions:
        """Versions as files: export, import."""
        from mlreg.client.portable import PortableVersions

        return PortableVersions(self.transport, self.versions)

    @cached_property
    def cleanup(self) -> Cleanup:
        """Bytes at rest: scrub, list garbage, collect."""
        from mlreg.client.cleanup import Cleanup

        return Cleanup(self.transport)

    @cached_property
    def costs(self) -> Costs:
        """The budget of all policies, what runs cost, and what waits."""
        from mlreg.client.costs import Costs

        return Costs(self.transport)

    @cached_property
    def versions(self) -> Versions:
        """Versions: register, list, show, download."""
        from mlreg.client.versions import Versions

        return Versions(self.transport)

    @cached_property
    def approvals(self) -> Approvals:
        """Approvals: stand behind a promote or against it, ask for approvals, list them."""
        from mlreg.client.approvals import Approvals

        return Approvals(self.transport)

    @cached_property
    def cards(self) -> Cards:
        """Model cards: read them, write into them."""
        from mlreg.client.cards import Cards

        return Cards(self.transport)

    @cached_property
    def deployments(self) -> Deployments:
        """Deployments: promote, roll back, freeze, status, history."""
        from mlreg.client.deployments import Deployments

        return Deployments(self.transport)

    @cached_property
    def log(self) -> FeedbackLog:
        """The feedback log: predictions and labels."""
        from mlreg.client.feedback import FeedbackLog

        return FeedbackLog(self.transport)

    @cached_property
    def policies(self) -> Policies:
        """Policies: apply, show, enable, disable."""
        from mlreg.client.policies import Policies

        return Policies(self.transport)

    @cached_property
    def triggers(self) -> Triggers:
        """Triggers: why, call, fire."""
        from mlreg.client.triggers import Triggers

        return Triggers(self.transport)

    @cached_property
    def backtests(self) -> Backtests:
        """Backtests: how other policies would have done."""
        from mlreg.client.backtests import Backtests

        return Backtests(self.transport)

    @cached_property
    def runs(self) -> Runs:
        """Runs: request, list, show, cancel, retry, logs."""
        from mlreg.client.runs import Runs

        return Runs(self.transport)

    @cached_property
    def decisions(self) -> Decisions:
        """Evaluations and decisions."""
        from mlreg.client.decisions import Decisions

        return Decisions(self.transport)

    @cached_property
    def reproductions(self) -> Reproductions:
        """Reproductions: have versions rebuilt from their records."""
        from mlreg.client.reproductions import Reproductions

        return Reproductions(self.transport)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Snapshots: create, show, export."""
        from mlreg.client.snapshots import Snapshots

        return Snapshots(self.transport)

    @cached_property
    def explanations(self) -> Explanations:
        """Explanations: where a window went wrong."""
        from mlreg.client.explanations import Explanations

        return Explanations(self.transport)

    @cached_property
    def drift(self) -> Drift:
        """Drift: one window, many windows, tests on rows."""
        from mlreg.client.drift import Drift

        return Drift(self.transport)

    @cached_property
    def invariants(self) -> Invariants:
        """Invariants: declare, show, check snapshots."""
        from mlreg.client.invariants import Invariants

        return Invariants(self.transport)

    @cached_property
    def monitors(self) -> Monitors:
        """Monitors: their readings."""
        from mlreg.client.monitors import Monitors

        return Monitors(self.transport)

    @cached_property
    def members(self) -> Members:
        """Controllers and workers: which are there."""
        from mlreg.client.members import Members

        return Members(self.transport)

    @cached_property
    def alerts(self) -> Alerts:
        """Alerts: list, show, snooze, close."""
        from mlreg.client.alerts import Alerts

        return Alerts(self.transport)

    @cached_property
    def parity(self) -> Parity:
        """Parity: have logged predictions scored again, and compared."""
        from mlreg.client.parity import Parity

        return Parity(self.transport, self.versions)

    @cached_property
    def incidents(self) -> Incidents:
        """Incidents: list, show, close, report."""
        from mlreg.client.incidents import Incidents

        return Incidents(self.transport)

    @cached_property
    def audit(self) -> Audit:
        """The audit log: list and verify."""
        from mlreg.client.audit import Audit

        return Audit(self.transport)

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens: create, list, revoke."""
        from mlreg.client.tokens import Tokens

        return Tokens(self.transport)

    @cached_property
    def issuers(self) -> Issuers:
        """Issuers of ID tokens: add, list, remove."""
        from mlreg.client.oidc import Issuers

        return Issuers(self.transport)

    @cached_property
    def keys(self) -> Keys:
        """Signing keys: whose signatures are trusted."""
        from mlreg.client.keys import Keys

        return Keys(self.transport)

    @cached_property
    def clock(self) -> VirtualClock:
        """The virtual clock."""
        from mlreg.client.clock import VirtualClock

        return VirtualClock(self.transport)

    @cached_property
    def environments(self) -> Environments:
        """Environments: declare and list."""
        from mlreg.client.environments import Environments

        return Environments(self.transport)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Webhooks: create, list, show, test, switch, delete."""
        from mlreg.client.webhooks import Webhooks

        return Webhooks(self.transport)

    @cached_property
    def events(self) -> Events:
        """Events, in the order in which everybody is told of them."""
        from mlreg.client.webhooks import Events

        return Events(self.transport)
