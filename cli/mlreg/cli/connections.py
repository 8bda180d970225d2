"""The file of connections: read once, at the start of a role, and only if nobody else can read it.

```yaml
lake:
  kind: s3
  url: s3://lake/events
  endpoint_url: https://s3.example.org
  access_key_id: …
  secret_access_key: …
exports: {kind: folder, path: /srv/exports}
warehouse:
  kind: postgres
  url: postgresql://reader:…@db.example.org/warehouse
  models: [churn]
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.private_file import read_private_yaml
from mlreg.cli.settings import PREFIX
from mlreg.controller.domain.connections import FORM, Connections

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"{PREFIX}CONNECTIONS_FILE"


def read_connections(path: Path | None) -> Connections:
    """Return the connections of a file; without a file there are none.

    Raises:
        SettingsError: others can read the file, or it declares no connections; says which key is
            wrong, and never its value.
    """
    if path is None:
        return Connections()
    found = read_private_yaml(path, NAME, FORM)
    return Connections(found)
