"""Score in forked children, so that hundreds of faults need the imports only once.

Usage: python fault_server.py CONTRACT DEFINITION BUNDLE LEADS OUTPUT. Each line on standard input forks a
child that stops itself, scores when continued and exits with the error's code; its number and then its
status are printed.
"""

import os
import signal
import sys
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - so that no child imports anything

from leadml.definitions import load_definition
from leadml.errors import LeadmlError
from leadml.leads import load_contract
from leadml.models import load_bundle
from leadml.scoring import score_leads


def main():
    contract, definition, bundle = (
        load(Path(path))
        for load, path in zip((load_contract, load_definition, load_bundle), sys.argv[1:4], strict=True)
    )
    job = {"definition": definition, "bundle": bundle, "leads": sys.argv[4]}
    score_leads(contract, output=sys.argv[5] + ".warm.csv", **job)
    Path(sys.argv[5] + ".warm.csv").unlink()
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            code = 70
            try:
                score_leads(contract, output=sys.argv[5], **job)
                code = 0
            except LeadmlError as error:
                code = error.exit_code
            finally:
                os._exit(code)
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
