"""Writing what a search looks into: the facts of a version, taken from its row by one statement.

What always holds: a version's facts are written once, by the statement that registers it
(`store/registration.py`) or after a bulk load; `search_version.id` counts up in the order of
registration. Texts count with their first 300 characters, keys with 200. Only scalars of the top
level are facts.

A version has about 50 rows of its own. Its features and packages are not among them: versions
share them, so they are written once per set, and the version says which set it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import WriteSession

BLOCK_BITS = 13
BOUNDS = {"bits": BLOCK_BITS, "max_value": 300, "max_key": 200}

FACTS = """
place AS (
  INSERT INTO search_version (model_id, number)
  SELECT model_id, number FROM version WHERE WANTED ORDER BY created_at, model_id, number
  RETURNING id, model_id, number
), one AS MATERIALIZED (
  SELECT place.id, CAST(place.id >> :bits AS integer) AS block, model.name AS model,
    version.*, CASE WHEN jsonb_typeof(environment->'packages') = 'object'
      THEN environment->'packages' END AS packages,
    jsonb_path_query_array(contract.body, '$.features[*].name') AS features
  FROM place
  JOIN version ON version.model_id = place.model_id AND version.number = place.number
  JOIN model ON model.id = place.model_id
  LEFT JOIN contract ON contract.digest = version.feature_contract
), numbers AS (
  INSERT INTO search_number (id, value, block, key)
  SELECT DISTINCT ON (id, fact.key) id, fact.value, block, fact.key FROM one, LATERAL (
    VALUES ('version', CAST(number AS double precision)), ('parent', parent), ('run', run_id),
      ('created', CAST(extract(epoch FROM created_at) AS double precision)),
      ('trained_until', CAST(extract(epoch FROM train_end) AS double precision)),
      ('duration', duration_seconds), ('memory', peak_memory_bytes)
    UNION ALL
    SELECT left(prefix || found.key, :max_key), CASE
      WHEN jsonb_typeof(found.value) = 'number' AND abs(CAST(found.value AS numeric)) < 1e300
      THEN CAST(found.value AS double precision) END
    FROM (VALUES ('metric.', metrics), ('params.', hyperparameters), ('seed.', seeds))
      AS part (prefix, fields), jsonb_each(fields) AS found
  ) AS fact (key, value) WHERE fact.value IS NOT NULL
), texts AS (
  INSERT INTO search_text (id, block, key, value)
  SELECT DISTINCT id, block, fact.key, left(fact.value, :max_value) FROM one, LATERAL (
    VALUES ('model', model), ('lane', lane), ('trainer', trainer), ('flavour', flavour),
      ('by', created_by), ('trained_by', coalesce(trained_by, created_by)),
      ('git', git->>'commit'), ('dirty', git->>'dirty'), ('remote', git->>'remote'),
      ('artifact', substr(manifest_digest, 8)),
      ('contract', substr(feature_contract, 8)),
      ('python', environment->>'python'), ('platform', environment->>'platform'),
      ('#features', md5(CAST(features AS text))), ('#packages', md5(CAST(packages AS text)))
    UNION ALL SELECT 'data', substr(jsonb_array_elements_text(snapshots), 8)
    UNION ALL SELECT 'missing', jsonb_array_elements_text(missing)
    UNION ALL
    SELECT left('tag.' || found.key, :max_key), found.value FROM jsonb_each_text(tags) AS found
    UNION ALL
    SELECT left('params.' || found.key, :max_key), found.value #>> '{}'
    FROM jsonb_each(hyperparameters) AS found
    WHERE jsonb_typeof(found.value) IN ('string', 'boolean')
  ) AS fact (key, value) WHERE fact.value IS NOT NULL
), sets AS (
  INSERT INTO search_set (id)
  SELECT DISTINCT md5(CAST(part.members AS text))
  FROM one, LATERAL (VALUES (features), (packages)) AS part (members)
  WHERE part.members IS NOT NULL ORDER BY 1
  ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO search_member (kind, name, value, set_id)
SELECT 'features', left(name, :max_value), '', sets.id
FROM sets JOIN (SELECT DISTINCT features FROM one) AS known
  ON md5(CAST(features AS text)) = sets.id, jsonb_array_elements_text(features) AS name
UNION ALL
SELECT 'packages', left(found.key, :max_value), left(found.value, :max_value), sets.id
FROM sets JOIN (SELECT DISTINCT packages FROM one) AS known
  ON md5(CAST(packages AS text)) = sets.id, jsonb_each_text(packages) AS found
ON CONFLICT DO NOTHING
"""
_INDEX_MODELS = text("WITH " + FACTS.replace("WANTED", "model_id = ANY(:model_ids)"))


def index_models(session: WriteSession, model_ids: Sequence[int]) -> None:
    """Write the facts of all versions of models that have none yet, as after a bulk load."""
    session.execute(_INDEX_MODELS, {**BOUNDS, "model_ids": list(model_ids)})
