"""The dashboard as a process: `python -m archgw.dashboard --home ~/.archgw --port 12001`; it ends with its input."""

import argparse
import os
import resource
from pathlib import Path

from archgw.dashboard.serving import of_the_stack
from archgw.home import Home
from router_service.shell import logs

parser = argparse.ArgumentParser(prog="python -m archgw.dashboard", description=__doc__)
parser.add_argument("--home", type=Path, required=True, help="whose ledger and gateway it shows")
parser.add_argument("--port", type=int, required=True)
arguments = parser.parse_args()
os.umask(0o077)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the key and the ledger are in this memory
logs.start()
of_the_stack(Home(arguments.home), arguments.port)
