"""What users import: HTTP client, wire schemas, upload and download, provenance, the Scorer.

What always holds: light (pydantic and typer only; pyarrow and LightGBM come with the extra
`score` and are imported where they are used), synchronous, typed; every download is verified
before it gets its name; no registry, controller or command-line code is ever imported.
"""
