"""``python -m services.classifier``: the classifier as a process."""

import logging
import os

from services.classifier.app import main

if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # Faust's consumer thread is no daemon: without a broker it may keep us for ever
