"""The dashboard: read-only pages over the registry's services.

What always holds: every value is escaped (Jinja2 autoescape); no script, no inline style, nothing
from another host (a strict Content-Security-Policy says so to the browser); pages only read, and
show what the caller may read: the API asks for that action on every page, and for the model in its
path; a page that lists asks `Actor.models_for`. A cookie, set by the log-in form, opens pages and
never the API. The composition root hands `router` to the API; the pages call services and store,
never the API's own code.
"""
