"""Makers of users' own data: rows that can be learnt, as files, tables and in databases."""

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from mlreg.controller.domain.connections import FORM, Connections
from mlreg.controller.domain.sources import Columns, FeatureColumn, parse_source
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.rows import RowRules
from mlreg.controller.feedback.schemas import LABELS
from mlreg.controller.sources.columns import Choice
from mlreg.controller.sources.opening import Reach, open_source, opener
from mlreg.controller.sources.reading import Asking, read_frozen
from tests.servers.s3 import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY

START = datetime(2013, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = Interval(START, START + 7 * DAY)
FEATURES = (
    FeatureColumn("temp", "float", "temperature"),
    FeatureColumn("hour", "int", "hour"),
    FeatureColumn("carrier", "category", "carrier"),
    FeatureColumn("rain", "bool", "rain"),
)
COLUMNS = Columns(
    time="event_time",
    label="churned",
    entity="customer",
    weight="w",
    features=FEATURES,
)
MAPPING = {
    "time": "event_time",
    "label": "churned",
    "entity": "customer",
    "weight": "w",
    "features": {"temp": "temperature"},
}
RULES = RowRules(LABELS, datetime(2014, 1, 1, tzinfo=UTC), "binary", 0, 0, {})


def raw_rows(start=START, days=1, *, rows_a_day=100, seed=0, truth=True):
    """Rows as a warehouse has them: a row an event, its label in it, names of its own."""
    rng = np.random.default_rng([seed, start.toordinal()])
    count = days * rows_a_day
    times = [start + number * DAY / rows_a_day for number in range(count)]
    temp = rng.normal(20.0, 8.0, count)
    carrier = rng.choice(["AA", "UA"], count)
    signal = ((temp - 20) / 4 + np.where(carrier == "AA", 1.0, -1.0)) * truth
    return pa.table(
        {
            "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "event_id": [f"{start:%Y%m%d}-{number}" for number in range(count)],
            "customer": rng.integers(1, 50, count),
            "temperature": temp,
            "hour": np.array([time.hour for time in times]),
            "carrier": carrier,
            "rain": rng.random(count) < 0.3,
            "w": rng.uniform(0.5, 1.5, count),
            "churned": (rng.random(count) < 1 / (1 + np.exp(-signal))).astype(np.int64),
            "unrelated": ["x"] * count,
        }
    )


def parquet_bytes(table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def write_days(folder: Path, days=7, **options):
    """Write a file a day, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for day in range(days):
        path = folder / f"day-{day:02d}.parquet"
        pq.write_table(raw_rows(START + day * DAY, **options), path)
        paths.append(path)
    return paths


def put_days(server, prefix, days=7, **options):
    """Put a file a day into the bucket of a server."""
    client = server.client()
    for day in range(days):
        body = parquet_bytes(raw_rows(START + day * DAY, **options))
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/day-{day:02d}.parquet", Body=body)
    client.close()


def bucket_of(server, prefix=""):
    """The connection of a test server, as the file of connections has it."""
    return {
        "kind": "s3",
        "url": f"s3://{BUCKET}/{prefix}".rstrip("/"),
        "endpoint_url": server.url,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
    }


def fill_table(url, table, name="events"):
    """Make a table of a database with these rows."""
    kinds = {"string": "text", "double": "double precision", "int64": "bigint", "bool": "boolean"}
    columns = [
        sql.SQL("{} {}").format(
            sql.Identifier(one.name), sql.SQL(kinds.get(str(one.type), "timestamptz"))
        )
        for one in table.schema
    ]
    with psycopg.connect(url) as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), sql.SQL(",").join(columns))
        )
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy,
        ):
            for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                copy.write_row(row)


def connections_of(**by_name):
    return Connections(FORM.validate_python(by_name))


@dataclass
class Bench:
    """A source at hand: freeze it, read it."""

    store: object
    connections: Connections
    columns: Columns = COLUMNS
    model: str = "churn"
    rules: RowRules = RULES
    memory: object = None
    opened: list = field(default_factory=list)

    @property
    def reach(self):
        return Reach(self.connections, self.store, self.model)

    def freeze(self, text, span=WEEK):
        return open_source(parse_source(text), self.columns, self.reach, self.memory).freeze(span)

    def batches(self, frozen, span=WEEK, *, excluded=(), wanted=None):
        asking = Asking(frozen, Choice(span, excluded), wanted, self.rules)
        return list(read_frozen(asking, opener(frozen, self.reach)))

    def read(self, frozen, span=WEEK, **options):
        return pa.concat_tables(self.batches(frozen, span, **options))
