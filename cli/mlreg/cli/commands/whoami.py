"""Whose token this machine bears, and what it may do."""

from __future__ import annotations

from mlreg.cli.output import show
from mlreg.cli.session import open_client


def whoami() -> None:
    """Show whose token this is, its role, its models and its end."""
    with open_client() as client:
        me = client.tokens.who_am_i()
    models = "every model" if me.models is None else ", ".join(me.models)
    lines = [f"{me.name}  {me.kind}, token {me.token}", f"role     {me.role} of {models}"]
    lines += [f"grant    {role} of {model}" for model, role in me.grants.items()]
    lines.append(
        f"until    {me.expires_at:%Y-%m-%d %H:%M} UTC" if me.expires_at else "until    ever"
    )
    show(me, text="\n".join(lines))
