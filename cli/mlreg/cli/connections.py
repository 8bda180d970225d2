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

import stat
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from mlreg.cli.settings import PREFIX, SettingsError
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
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{NAME}: {path} has secrets and others may read it: chmod 600")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Connections(FORM.validate_python(document or {}))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5]]
        raise SettingsError(f"{NAME}: {'; '.join(wrong)}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise SettingsError(f"{NAME}: {path} is not YAML{where}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{NAME}: {path} cannot be read: {type(error).__name__}") from None
