"""The executors of a worker, from its settings: read once, when it starts.

`MLREG_RAY_ADDRESS` is all that a Ray cluster without a token needs. More is said in the file that
`MLREG_EXECUTORS_FILE` names:

```yaml
ray:
  address: https://ray.example.org:8265
  python: /opt/mlreg/bin/python
  token_file: /run/secrets/ray
kubernetes:
  namespace: training
  pod: {image: "registry.example.org/mlreg:0.1.0", s3_secret: mlreg-s3}
```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter

from mlreg.cli.private_file import read_private_yaml
from mlreg.cli.settings import PREFIX, SettingsError
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.kinds import ExecutorSettings, KubernetesSettings, RaySettings

if TYPE_CHECKING:
    from mlreg.cli.settings import Settings

NAME = f"{PREFIX}EXECUTORS_FILE"


class ExecutorsFile(BaseModel):
    """What the file may declare."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ray: RaySettings | None = None
    kubernetes: KubernetesSettings | None = None


def executor_settings_of(settings: Settings) -> ExecutorSettings:
    """Return which executors a worker has beside the local one.

    Raises:
        SettingsError: the file is not of its form, Ray is set twice, or files have no place where
            worker and cluster can exchange them.
    """
    path = settings.executors_file
    said = ExecutorsFile()
    if path is not None:
        said = read_private_yaml(path, NAME, TypeAdapter(ExecutorsFile))
    ray = said.ray
    if settings.ray_address is not None:
        if ray is not None:
            raise SettingsError(f"{PREFIX}RAY_ADDRESS: {NAME} declares Ray too")
        ray = RaySettings(address=settings.ray_address)
    if (ray or said.kubernetes) and settings.exchange_url is None:
        missing = "an executor is set, and no place where its files are exchanged"
        raise SettingsError(f"{PREFIX}EXCHANGE_URL: {missing}")
    exchange = None
    if settings.exchange_url is not None:
        exchange = Exchange(settings.exchange_url, settings.s3)
    environment = dict(os.environ)  # noqa: TID251 - the edge
    return ExecutorSettings(exchange, ray, said.kubernetes, environment)
