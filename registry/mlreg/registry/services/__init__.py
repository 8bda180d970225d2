"""The registry's use cases, one file each: values and a session in, rows and values out.

A service never opens a session and never commits: the edge does. Time and actor are arguments.
Routes, pages and the controller call services; services call store, artifacts and domain.
"""
