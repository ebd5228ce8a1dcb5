"""``python -m services.alerter``; ``python -m services.alerter migrate`` only migrates the database."""

import sys

from services.alerter.app import main, migrate_only
from services.process import run

if __name__ == "__main__":
    sys.exit(run(migrate_only if sys.argv[1:] == ["migrate"] else main))
