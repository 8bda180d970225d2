"""The controller's routes: one file per noun, each parses, calls one service, answers.

What always holds: a route opens its sessions and ends them: a change is one transaction; its input
and output are the schemas of `mlreg.client.wire`; every `POST` that makes something takes an
`Idempotency-Key`; who may call it, which bodies it sees and how errors are answered is settled by
the registry's API before it runs.

The composition root hands these routers to the registry's `create_api`. They call the controller's
services, and of the registry's API its dependencies (`context.py`, `idempotency.py`); nothing
imports them but that root.
"""
