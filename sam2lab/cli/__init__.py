"""The command line, for people outside notebooks: `python -m sam2lab --help`."""

from sam2lab.cli.main import main as main
