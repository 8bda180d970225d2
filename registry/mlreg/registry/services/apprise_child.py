"""The child that hands one notice to Apprise; run by `notifying.py`, never imported.

Reads one JSON document from stdin (`url`, `title`, `body`, `type`) and writes one: `{"cause": ""}`
when the service took it, else why not, without a word of the URL but its scheme.
"""

from __future__ import annotations

import json
import sys

import apprise


def main() -> None:
    """Hand over what stdin says."""
    asked = json.load(sys.stdin)
    asset = apprise.AppriseAsset(app_id="mlreg", app_desc="mlreg", secure_logging=True)
    service = apprise.Apprise(asset=asset)
    scheme = str(asked["url"]).partition(":")[0][:20]
    if not service.add(asked["url"]):
        cause = "Apprise does not understand the target's URL"
    elif service.notify(title=asked["title"], body=asked["body"], notify_type=asked["type"]):
        cause = ""
    else:
        cause = f"the service ({scheme}) did not take it"
    sys.stdout.write(json.dumps({"cause": cause}))


if __name__ == "__main__":
    main()
