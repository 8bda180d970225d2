"""`mlreg demo`: a year of real flights, replayed through a server of its own.

What always holds: the demo is a client like any other. It starts `mlreg up --virtual-clock` on an
empty data folder and speaks to it over HTTP only; nothing of what happens is scripted but what the
world does (the flights, three days without a weather feed, and a person who promotes a bad model).
Every number of its report is read back from the server: the scores that were logged and the labels
that followed, the firings, runs, decisions, revisions and incidents on record.

| file | what it is |
|---|---|
| `flights.py` | the flights and their weather, as days of rows |
| `policy.yaml` | the automation that the demo applies |
| `server.py` | the server of its own, and its end |
| `stage.py` | model, history, first version, policy: what stands on 1 February |
| `replay.py` | the year, day by day |
| `sabotage.py` | the bad challenger of October |
| `timeline.py` | what happened, told as it happens |
| `report.py`, `document.py` | the numbers, and the one JSON document |
| `picture.py` | log loss over the year |

Only `commands/demo.py` calls in here.
"""
