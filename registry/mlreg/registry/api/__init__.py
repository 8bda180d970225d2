"""The HTTP API: one app for the registry's routes and those that the composition root hands in.

What always holds: every request passes `boundary` (whose name it came to), `gate` (a valid token,
unless the path is public) and `limits` (what a body may be) before a route sees it; a route parses,
calls one service and answers; every error is an RFC 9457 problem with a stable code (`problems`);
routes open their sessions through `context` and end them themselves.

`app.create_api` is the door, called by the composition root with the `parts.ApiParts`. The
controller's routers use `context`, `idempotency` and `limits`; services never call back.
"""
