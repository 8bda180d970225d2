"""The feedback log's work on rows: read a body, check it, make segments, join labels, profile.

What always holds:

- the model's feature schema says which columns a batch has; a batch that breaks a rule is refused
  whole, with the column and the row;
- values keep their meaning from batch to segment to joined row; only their form changes;
- nothing here opens a transaction: tables and bytes in, tables and bytes out. Who keeps them, and
  exactly once, are the services (`services/feedback.py`, `services/draining.py`).

Called by the controller's services and, for content types, its API.
"""
