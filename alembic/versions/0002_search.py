"""What `mlreg search` looks into: texts, numbers and shared sets, one row per fact of a version.

The versions that are there already are indexed in the order of their registration.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("search_member", "search_set", "search_number", "search_text", "search_version")
PLACES = """
INSERT INTO search_version (model_id, number)
SELECT model_id, number FROM version ORDER BY created_at, model_id, number
"""
NUMBERS = """
INSERT INTO search_number (id, value, block, key)
SELECT id, value, id >> 13, key FROM search_version JOIN version USING (model_id, number),
LATERAL (
  SELECT 'version' AS key, number::float8 AS value
  UNION ALL SELECT 'created', extract(epoch FROM created_at)::float8
  UNION ALL SELECT 'parent', parent::float8
  UNION ALL SELECT 'run', run_id::float8
  UNION ALL
  SELECT left(prefix || found.key, 200), CASE
    WHEN jsonb_typeof(found.value) = 'number' AND abs(found.value::numeric) < 1e300
    THEN found.value::float8 END
  FROM (VALUES ('metric.', metrics), ('params.', hyperparameters), ('seed.', seeds))
    AS part (prefix, fields), jsonb_each(fields) AS found
) AS fact WHERE value IS NOT NULL
ON CONFLICT DO NOTHING
"""
SETS = """
CREATE TEMPORARY TABLE found_set ON COMMIT DROP AS
SELECT s.id, 'features' AS kind, jsonb_path_query_array(c.body, '$.features[*].name') AS members
FROM search_version s JOIN version v USING (model_id, number)
JOIN contract c ON c.digest = v.feature_contract
UNION ALL
SELECT s.id, 'packages', v.environment->'packages'
FROM search_version s JOIN version v USING (model_id, number)
WHERE jsonb_typeof(v.environment->'packages') = 'object'
"""
TEXTS = """
INSERT INTO search_text (id, block, key, value)
SELECT search_version.id, search_version.id >> 13, key, left(value, 300)
FROM search_version JOIN version USING (model_id, number) JOIN model ON model.id = model_id,
LATERAL (
  VALUES ('model', model.name), ('lane', lane), ('trainer', trainer), ('flavour', flavour),
    ('by', version.created_by), ('trained_by', version.created_by), ('git', git->>'commit'),
    ('dirty', git->>'dirty'), ('remote', git->>'remote'), ('artifact', substr(manifest_digest, 8)),
    ('contract', substr(feature_contract, 8)), ('python', environment->>'python'),
    ('platform', environment->>'platform')
  UNION ALL SELECT 'data', substr(jsonb_array_elements_text(snapshots), 8)
  UNION ALL SELECT 'missing', jsonb_array_elements_text(missing)
  UNION ALL SELECT left('tag.' || found.key, 200), found.value
  FROM jsonb_each_text(tags) AS found
  UNION ALL SELECT left('params.' || found.key, 200), found.value #>> '{}'
  FROM jsonb_each(hyperparameters) AS found
  WHERE jsonb_typeof(found.value) IN ('string', 'boolean')
) AS fact (key, value) WHERE value IS NOT NULL
UNION ALL
SELECT DISTINCT id, id >> 13, '#' || kind, md5(members::text) FROM found_set
ON CONFLICT DO NOTHING
"""
KNOWN = "INSERT INTO search_set SELECT DISTINCT md5(members::text) FROM found_set"
MEMBERS = """
INSERT INTO search_member (kind, name, value, set_id)
SELECT 'features', left(name, 300), '', md5(members::text)
FROM (SELECT DISTINCT members FROM found_set WHERE kind = 'features') AS one,
  jsonb_array_elements_text(members) AS name
UNION ALL
SELECT 'packages', left(name, 300), left(value, 300), md5(members::text)
FROM (SELECT DISTINCT members FROM found_set WHERE kind = 'packages') AS one,
  jsonb_each_text(members) AS found (name, value)
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    _create_tables()
    for statement in (PLACES, NUMBERS, SETS, TEXTS, KNOWN, MEMBERS):
        op.execute(statement.replace(":", "\\:"))
    op.execute("DROP TABLE found_set")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "search_version",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_search_version"),
        sa.UniqueConstraint("model_id", "number", name="uq_search_version_model_id_number"),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["version.model_id", "version.number"],
            name="fk_search_version_model_id_number_version",
        ),
    )
    for kind, value in (("text", sa.Text(collation="C")), ("number", sa.Float())):
        op.create_table(
            f"search_{kind}",
            sa.Column("key", sa.Text(collation="C"), nullable=False),
            sa.Column("block", sa.Integer(), nullable=False),
            sa.Column("value", value, nullable=False),
            sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.PrimaryKeyConstraint("key", "block", "value", "id", name=f"pk_search_{kind}"),
        )
    op.create_table(
        "search_set",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_search_set"),
    )
    op.create_table(
        "search_member",
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("set_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "value", "set_id", name="pk_search_member"),
    )
