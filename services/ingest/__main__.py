"""Run ingest: ``python -m services.ingest``."""

import sys

from services.ingest.app import main
from services.process import run

if __name__ == "__main__":
    sys.exit(run(main))
