"""Tables and queries of the controller.

A query has a name and a sentence, takes a session, and decides nothing. Tables share one metadata
with the registry's, so that one chain of migrations makes both.
"""
