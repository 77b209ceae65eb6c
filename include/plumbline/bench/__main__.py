"""``python -m plumbline.bench``."""

import sys

import typer

from plumbline.bench.run import bench
from plumbline.errors import PlumblineError

if __name__ == "__main__":
    try:
        typer.run(bench)
    except PlumblineError as error:
        sys.exit(str(error))
