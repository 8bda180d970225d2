"""Policies that were read before: what was written down of one never changes.

What always holds: a policy is known by its id and its writing (`PolicyStamp`), so that a database
restored under a running controller is read anew; sections that say the same are one
object, for fleets of policies differ in little; the oldest are forgotten beyond `MOST`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from mlreg.client.edge import Edge
from mlreg.controller.domain.policy_file import read_written_policy
from mlreg.controller.services.policy_texts import kinds
from mlreg.controller.store.chunks import policy_bodies, policy_stamps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.store.chunks import PolicyStamp
    from mlreg.registry.store.database import ReadSession

MOST = 20_000
SHARED = ("data", "retrain", "monitors", "alerts", "gates", "guards", "budget", "combine")

log = logging.getLogger("mlreg.controller")


class _Known:
    """A cache by the policy's id; threads may share it."""

    def __init__(self) -> None:
        self._policies: OrderedDict[PolicyStamp, Policy] = OrderedDict()
        self._sections: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def find(self, session: ReadSession, ids: Sequence[int]) -> dict[int, Policy]:
        with self._lock:
            stamps = {stamp[0]: stamp for stamp in policy_stamps(session, ids)}
            unknown = [one for one, stamp in stamps.items() if stamp not in self._policies]
            for number, body in policy_bodies(session, unknown) if unknown else ():
                with Edge(partial(_tell_unread, number)):  # it stops no other policy
                    self._policies[stamps[number]] = self._read(body)
            found = {
                one: self._policies[stamp]
                for one, stamp in stamps.items()
                if stamp in self._policies
            }
            while len(self._policies) > MOST:
                self._policies.popitem(last=False)
        return found

    def _read(self, body: str) -> Policy:
        policy, form = read_written_policy(body, kinds()), json.loads(body)
        if len(self._sections) > MOST:
            self._sections.clear()
        shared = {
            name: self._sections.setdefault(
                (name, json.dumps(form.get(name))), getattr(policy, name)
            )
            for name in SHARED
        }
        return policy.model_copy(update=shared)


def _tell_unread(number: int, _error: Exception) -> None:
    log.warning("policy %d cannot be read", number)


_KNOWN = _Known()


def find_policies(session: ReadSession, ids: Sequence[int]) -> dict[int, Policy]:
    """Return the policies of these ids that can be read here; the others are left out."""
    return _KNOWN.find(session, ids)
