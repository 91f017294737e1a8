"""The dashboard as a process: `python -m archgw.dashboard --home ~/.archgw --port 12001`; it ends with its input.

With `--config` it is one of a container's, and ends when it is told to."""

import argparse
import os
import resource
from dataclasses import replace
from pathlib import Path

from archgw.dashboard.serving import of_a_container, of_the_stack
from archgw.home import home
from router_service.shell import logs

parser = argparse.ArgumentParser(prog="python -m archgw.dashboard", description=__doc__)
parser.add_argument("--home", type=Path, required=True, help="whose ledger and gateway it shows")
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--config", type=Path, help="in a container: the config.yaml that says where the ledger is")
arguments = parser.parse_args()
os.umask(0o077)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the key and the ledger are in this memory
logs.start()
at = replace(home(), folder=arguments.home)
if arguments.config:
    of_a_container(at, arguments.config, arguments.port)
else:
    of_the_stack(at, arguments.port)
