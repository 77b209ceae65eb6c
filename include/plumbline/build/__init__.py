"""The build: what the night's inputs are (``work``), and observations, figures and marts of them with dbt (``run``)."""

from plumbline.build.run import BuildResult, build_figures, build_marts

__all__ = ["BuildResult", "build_figures", "build_marts"]
