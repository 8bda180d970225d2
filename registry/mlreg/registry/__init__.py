"""The registry: models, versions, artifacts, provenance, deployments, audit, access.

What always holds:

- bytes returned for a version are the bytes that were registered, or an error;
- a change of a deployment is one transaction, or nothing;
- every change of state leaves one entry in the hash-chained audit log, in the same transaction;
- nothing is answered without a valid token, but `/healthz`, `/readyz` and the log-in page.

Who may call whom: `api | web → services → store | artifacts → domain`, never back. The controller
calls the registry's services in its own transaction; the registry knows nothing of the controller.
"""
