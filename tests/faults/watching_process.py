"""A controller that reads one window in which features drift, or an API that misses it; may die."""

import sys
import time

from mlreg.controller.services.silence import SilenceSettings, SilenceWatch
from mlreg.registry.services.dispatch import Dispatcher
from mlreg.registry.services.posting import Postman, PostSettings
from mlreg.registry.store.database import Database
from tests.alert_makers import Stream


def main(url, what, *words):
    database = Database(url, pool_size=2)
    if what == "drift":
        model_id, number, *features = words
        Stream(database, int(model_id)).drifts(int(number), *features)
    else:
        watch = SilenceWatch(database, Dispatcher(Postman(PostSettings())), SilenceSettings(0.1))
        watch.look()
        time.sleep(0.2)
        watch.look()


if __name__ == "__main__":
    main(*sys.argv[1:])
