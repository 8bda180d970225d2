"""The controller's use cases: accept, drain, freeze, tick, request a run, train, judge, guard.

A service that changes state takes the caller's session; those that outlive one transaction (a
drain, a tick, a run) take the database and fence each of their transactions themselves.
"""
