"""`python -m sam2lab`."""

import sys

from sam2lab.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m sam2lab"))
