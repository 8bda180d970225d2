"""A policy file to begin with, from what is known of a model."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.starter import Subject, starter
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession


def starter_of(session: ReadSession, model_name: str, environment: str) -> str:
    """Return a policy file for a model, with comments; it can be applied as it is.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError: it is not there.
    """
    model = catalog.get_model(session, model_name)
    catalog.check_environment(session, environment)
    schema = catalog.feature_schema_of(model)
    features = schema.features if schema else ()
    subject = Subject(
        model=model.name,
        environment=environment,
        task=model.task,
        longest_delay=timedelta(seconds=catalog.target_contract_of(model).max_label_delay_seconds),
        features=[one.name for one in features],
        at_risk=[one.name for one in features if one.at_risk],
        categories=[one.name for one in features if one.dtype == "category"],
    )
    return starter(subject)
