"""What the settings tell the chores: each gets the values that it needs, and no settings object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.notifications import read_targets
from mlreg.controller.services.chore import ChoreSettings
from mlreg.controller.services.lineage_sinks import LineageSettings
from mlreg.registry.witnesses.settings import WitnessSettings

if TYPE_CHECKING:
    from mlreg.cli.settings import Settings


def chore_settings_of(settings: Settings) -> ChoreSettings:
    """Return what a worker's chores are told."""
    key, lineage_key = settings.checkpoint_key, settings.openlineage_key
    return ChoreSettings(
        witnesses=WitnessSettings(
            folder=settings.checkpoint_folder,
            key=key.get_secret_value() if key else None,
            url=settings.checkpoint_url,
            s3=settings.s3,
            retention_days=settings.checkpoint_retention_days,
            syslog=settings.checkpoint_syslog,
        ),
        posts=settings.posts,
        targets=read_targets(settings),
        upkeep=settings.upkeep,
        job_days=settings.job_days,
        lineage=LineageSettings(
            url=settings.openlineage_url,
            key=lineage_key.get_secret_value() if lineage_key else None,
            file=settings.openlineage_file,
            namespace=settings.openlineage_namespace,
        ),
        trigger_record_days=settings.trigger_record_days,
    )
