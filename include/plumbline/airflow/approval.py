"""Waiting for a person where a release changes more than the domain lets pass (``plumbline.release.waiting``)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from plumbline.errors import StopTheRun
from plumbline.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

_HOURS = 20
"""How long an answer is waited for: no longer than to the next night, which asks again."""


class ReleaseApproval(ApprovalOperator):
    """Asks whether a release may become current, where it waits for that; any other passes at once.

    ``release`` is its folder. The answer is recorded as `plumbline release approve` and `… refuse` do. Where nobody can
    answer (the parameter ``wait`` of the run is false) the task fails with the command that does.
    """

    template_fields = (*ApprovalOperator.template_fields, "release")

    def __init__(self, *, release: Any, **keys: Any) -> None:
        super().__init__(subject="A release waits", response_timeout=timedelta(hours=_HOURS), **keys)
        self.release = release

    def execute(self, context: Context) -> Any:
        """Ask, or pass. Raises StopTheRun where nobody can be asked."""
        from plumbline.release.waiting import waiting

        found = waiting(Settings.from_environment())
        if found is None or found.release.release_id != self._release_id:
            return None
        if not context["params"]["wait"]:
            raise StopTheRun(found.message)
        self.subject = f"Release {self._release_id} changes {found.changed:,} of {found.released:,} figures"
        self.body = found.message
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer. Approved: the release is current; refused: what follows is skipped."""
        from plumbline.release.waiting import approve, refuse, waiting

        settings = Settings.from_environment()
        found = waiting(settings)
        # None waits any more where somebody was quicker, by the command.
        if found and "error" not in event:
            by = (event["responded_by_user"] or {}).get("name")
            if event["chosen_options"] == [self.APPROVE]:
                approve(settings, self._release_id, by)
            else:
                refuse(settings, self._release_id, "refused in Airflow", by)
        return super().execute_complete(context, event)

    @property
    def _release_id(self) -> str:
        return Path(self.release).name
