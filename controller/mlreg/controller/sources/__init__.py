"""Sources beside the feedback log: Parquet files, Delta tables and queries, read where they are.

```
opening.py     a name and the connections → a source
source.py      the protocols: Source (freeze), Place (find, open)
parquet.py     files by a pattern          ┐
delta.py       a table at a version        ├ each a source
sql.py         the answer to a query       ┘
folder.py      files of a local folder     ┐ each a place
bucket.py      objects of a bucket         ┘
freezing.py    files → which are needed, and their digests
columns.py     columns of a file → the columns of rows, cast and checked
reading.py     a frozen source → its rows, verified
```

What always holds:

- a source is frozen before it is read; what is read is what was frozen, byte for byte, or an error
  that names the file (`errors.py`): a file's bytes are hashed before any of them is parsed;
- nothing is read that no connection covers: paths do not go up, links do not lead out, endpoints
  come from the operator alone;
- rows obey the rules of logged rows (`feedback/rows.py`); an error names file, column and row;
- the answer to a query cannot be frozen where it is, so it is kept, as files, in our own store.

The feedback log is no source of this room: it is selected by segments and joined with labels, in a
session; both end as a snapshot of one form (`domain/snapshots.py`), and are read by one function.
"""
