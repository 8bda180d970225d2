"""The whole demo, from an empty folder to the report: the one place that plugs its parts together.

The top function reads as the demo does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlreg.cli.demo.document import Document, make_document
from mlreg.cli.demo.flights import moment, read_flights
from mlreg.cli.demo.ledger import Ledger
from mlreg.cli.demo.picture import draw
from mlreg.cli.demo.replay import Replay
from mlreg.cli.demo.server import running_server
from mlreg.cli.demo.stage import MODEL, set_stage
from mlreg.cli.demo.timeline import Timeline
from mlreg.cli.demo.watch import Watch
from mlreg.client.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.cli.demo.replay import World


def perform(world: World, *, keep: bool, picture: Path, quiet: bool) -> Document:
    """Play the year and return what came of it.

    Args:
        world: which days, and what happens in them.
        keep: leave the server up afterwards.
        picture: the PNG to write.
        quiet: print no timeline.

    Raises:
        NoFlightsError: the data is not installed.
        DemoServerError: the server does not start.
        MlregError: the server refused something.
    """
    began = time.monotonic()
    timeline = Timeline(quiet=quiet)
    flights = read_flights()
    with running_server(moment(world.start), keep=keep) as server:
        url, token = server.credentials.url, server.credentials.token
        timeline.say(f"mlreg serves {url} from {server.data}")
        client = Client(url, token, timeout_seconds=120.0)
        stage = set_stage(client, flights, world.start, server.data / "scorer", timeline)
        ledger, watch = Ledger(), Watch(client, MODEL)
        Replay(world, flights, stage, ledger, watch, timeline).run()
        year = ledger.close(client, MODEL, moment(world.start), moment(world.end))
        document = make_document(world, year, watch, time.monotonic() - began)
        draw(year, document, picture)
        kept = server.keep() if keep else None
    return document.model_copy(update={"picture": str(picture), "server": kept})
