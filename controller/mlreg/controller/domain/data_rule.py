"""The `data` of a policy: where its rows come from, and which of them train and judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from mlreg.controller.domain.batches import LABEL, TIME
from mlreg.controller.domain.border import said
from mlreg.controller.domain.durations import EXAMPLES, LONGEST, Duration
from mlreg.controller.domain.number_pattern import between
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.selections.expanding import Expanding
from mlreg.controller.domain.selections.kinds import AnySelection
from mlreg.controller.domain.selections.reservoir import Reservoir
from mlreg.controller.domain.selections.sliding import Sliding
from mlreg.controller.domain.sources import (
    FEEDBACK,
    MAX_TEXT,
    Columns,
    FeatureColumn,
    InvalidSourceError,
    SourceName,
    parse_source,
)
from mlreg.controller.domain.windows import DAY, HOUR, WEEK
from mlreg.controller.domain.zone import Timezone
from mlreg.registry.domain.names import Name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.selections.selection import Selection


def _checked_source(text: str) -> str:
    try:
        parse_source(text)
    except InvalidSourceError as error:
        raise ValueError(str(error)) from error
    return text


SourceText = Annotated[str, AfterValidator(_checked_source)]
_PARTS = (1, 2, 3, 4, 6, 8, 12)
"""The hours that divide a day."""
_WINDOW = {
    "type": "string",
    "pattern": "^("
    + "|".join(
        (
            f"({between(1, LONGEST // DAY)})d",
            f"({between(1, LONGEST // WEEK)})w",
            "({})h".format("|".join(str(one) for one in (*_PARTS, *range(24, 1_000, 24))))
            + "|[1-9][0-9]{3,8}h",
            "({})m".format("|".join(str(60 * one) for one in _PARTS)) + "|[1-9][0-9]{2,7}0m",
            "({})s".format("|".join(str(3_600 * one) for one in _PARTS)) + "|[1-9][0-9]{2,6}00s",
        )
    )
    + ")$",
    "examples": EXAMPLES,
}
"""Whole hours that divide a day, or whole days; of large numbers of hours it lets all pass."""
Column = Annotated[str, Field(min_length=1, max_length=200)]
SOURCE_KEYS = (
    "connection",
    "time",
    "label",
    "entity",
    "weight",
    "prediction_id",
    "timezone",
    "features",
)


class QueryRule(PolicyPart):
    """A query and the connection that it is put to."""

    connection: Name
    query: str = Field(min_length=1, max_length=MAX_TEXT)


class DataRule(PolicyPart):
    """Which rows train, which judge, and when a window's labels are taken to be complete.

    Rows come from the feedback log, or from a `source` (or `sql`) beside it; then the keys from
    `connection` on say which column stands for what.

    Attributes:
        source: where rows come from: `feedback`, the feedback log, or a file, table or URL.
        train_window: how much is trained on, the newest rows before those that judge.
        evaluate_window: how much judges, the newest labelled rows; they never train.
        label_delay: after so long the labels of a window are taken to be complete; left out: the
            longest of the model's target contract.
        window: how long the windows are that monitors read.
        select: which rows train; left out: the newest of `train_window`.
        connection: by which declared connection the source is reached.
        time: the column of the time.
        label: the column of the label.
        entity: the column of what a row is about.
        weight: the column of the weight.
        prediction_id: the column of the id.
        timezone: of times without a zone.
        features: by feature, the column that it stands in under another name.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"source": {"const": FEEDBACK}, "sql": {"type": "null"}}},
                    "then": {"properties": {key: {"type": "null"} for key in SOURCE_KEYS}},
                },
                {
                    "if": said("sql", is_a="object"),
                    "then": {
                        "properties": {
                            "source": {"const": FEEDBACK},
                            "connection": {"type": "null"},
                        }
                    },
                },
            ]
        }
    )
    source: SourceText = FEEDBACK
    train_window: Duration = timedelta(days=90)
    evaluate_window: Duration = timedelta(days=14)
    label_delay: Duration = timedelta(days=2)
    window: Annotated[Duration, WithJsonSchema(_WINDOW)] = DAY
    select: AnySelection | None = None
    sql: QueryRule | None = None
    connection: Name | None = None
    time: Column | None = None
    label: Column | None = None
    entity: Column | None = None
    weight: Column | None = None
    prediction_id: Column | None = None
    timezone: Timezone | None = None
    features: dict[str, Column] | None = None

    @property
    def selection(self) -> Selection:
        """Which rows train: the newest of `train_window`, unless something is selected."""
        return self.select or Sliding(sliding=self.train_window)

    @property
    def source_name(self) -> SourceName | None:
        """What the rows are read from, None for the feedback log."""
        if self.sql is not None:
            query = self.sql.query.strip().rstrip(";").rstrip()
            return SourceName("sql", query=query, connection=self.sql.connection)
        name = parse_source(self.source)
        if name is None or self.connection is None:
            return name
        return replace(name, connection=self.connection)

    def columns_for(self, features: Sequence[tuple[str, str]]) -> Columns:
        """Return which column stands for what, for a model with these features and their dtypes."""
        named = self.features or {}
        return Columns(
            time=self.time or TIME,
            label=self.label or LABEL,
            entity=self.entity,
            weight=self.weight,
            prediction_id=self.prediction_id,
            timezone=self.timezone,
            features=tuple(
                FeatureColumn(name, dtype, named.get(name, name)) for name, dtype in features
            ),
        )

    @model_validator(mode="after")
    def _source_keys_go_together(self) -> DataRule:
        if self.sql is not None and self.source != FEEDBACK:
            message = "source and sql both say where rows come from; name one"
            raise ValueError(message)
        if self.connection is not None and (self.sql is not None or self.source.startswith("sql:")):
            message = "connection is for files and tables; a query names its own"
            raise ValueError(message)
        if self.source_name is None:
            given = [key for key in SOURCE_KEYS if getattr(self, key) is not None]
            if given:
                message = f"{given[0]} is for a source beside the feedback log"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _a_source_has_a_beginning(self) -> DataRule:
        """Only the log knows its first row."""
        said = self.select
        whole = isinstance(said, Expanding) and said.expanding == "all"
        whole = whole or (isinstance(said, Reservoir) and said.since is None)
        if whole and self.source_name is not None:
            key = "expanding" if isinstance(said, Expanding) else "since"
            message = f"a source does not say where it begins: name a moment under `{key}`"
            raise ValueError(message)
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, form: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys of sources where none is said: an older server reads such rules too."""
        return {key: value for key, value in form(self).items() if value is not None}

    @model_validator(mode="after")
    def _window_fits_the_grid(self) -> DataRule:
        if self.window % HOUR or (DAY % self.window and self.window % DAY):
            message = "window must be whole hours that divide a day, or whole days"
            raise ValueError(message)
        return self
