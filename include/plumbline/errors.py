"""Errors, named by what happens next.

A message names the file, sheet, cell, unit or column, and says what would be right.
"""


class PlumblineError(Exception):
    """Base of the errors that Plumbline raises on purpose; its text is meant for a person."""


class TryAgain(PlumblineError):  # noqa: N818 - named by what happens next
    """The cause may pass (a lock is held, a server is away): run the same step again later."""


class ReturnToSubmitter(PlumblineError):  # noqa: N818
    """What was submitted cannot be accepted; the receipt carries this message."""


class StopTheRun(PlumblineError):  # noqa: N818
    """Going on would publish something wrong, or the deployment's own files are wrong."""
