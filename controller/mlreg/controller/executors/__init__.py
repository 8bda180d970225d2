"""Executors: where the code that trains and scores runs, apart from the worker that asked for it.

What always holds: the child's process group has a wall time, CPU and memory limit; it has no
network and writes in its folder only, where the kernel permits that; it sees no secret of the
worker's environment; nothing of it outlives the task, nor the worker, however either
ends; what it prints is bounded. Parent and child speak by files in one folder: `job.json` in,
`result.json` and `out/` out, `error.json` when it failed.

An executor decides nothing about jobs, runs or models: services call it, and only they.
"""
