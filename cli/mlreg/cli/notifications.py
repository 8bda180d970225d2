"""The targets that the settings name: those of the file, and those of `MLREG_NOTIFY_URLS`.

```yaml
oncall:
  url: tgram://bot-token/chat-id
  topics: [alert.opened, alert.escalated, incident.opened]
  models: [churn]
team: {url: "mailto://mlreg:…@mail.example.org?to=team@example.org"}
```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydantic import SecretStr

from mlreg.cli.private_file import read_private_yaml
from mlreg.cli.settings import PREFIX
from mlreg.controller.services.heartbeat import Heartbeat
from mlreg.registry.domain.notice_targets import FORM, NoticeTarget, NoticeTargets
from mlreg.registry.domain.targets import parse_target
from mlreg.registry.services.posting import Postman, PostSettings

if TYPE_CHECKING:
    from mlreg.cli.settings import Settings

NAME = f"{PREFIX}NOTIFICATIONS_FILE"
PASSED_ON = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)


def read_targets(settings: Settings) -> NoticeTargets:
    """Return whom the operator wants told through Apprise.

    Raises:
        SettingsError: the file cannot be used; see `read_private_yaml`.
    """
    path, listed = settings.notifications_file, settings.notify_urls
    found = {} if path is None else read_private_yaml(path, NAME, FORM)
    urls = listed.get_secret_value().split() if listed else []
    for number, url in enumerate(urls, 1):
        name = "notify" if len(urls) == 1 else f"notify-{number}"
        found.setdefault(name, NoticeTarget(url=SecretStr(url)))
    environ = {name: value for name in PASSED_ON if (value := os.environ.get(name))}  # noqa: TID251 - the edge
    return NoticeTargets(found, environ)


def heartbeat_of(settings: Settings) -> Heartbeat | None:
    """Return what calls the address of the settings, if they have one: wherever it leads."""
    if settings.heartbeat_url is None:
        return None
    target = parse_target(settings.heartbeat_url.get_secret_value())
    own = PostSettings(frozenset({target.place}), settings.webhook_ca_file)
    return Heartbeat(Postman(own), target)
