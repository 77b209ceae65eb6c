"""``python -m plumbline.bench``."""

import typer

from plumbline.bench.run import bench

if __name__ == "__main__":
    typer.run(bench)
