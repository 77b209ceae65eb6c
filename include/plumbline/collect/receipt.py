"""Receipts: what a sender gets back for a delivery."""

from __future__ import annotations

from typing import Any

from plumbline.collect.answers import Line


def receipt(delivery: dict[str, Any], lines: list[Line]) -> dict[str, object]:
    """Return the receipt of one delivery, ready for JSON.

    It says when the delivery was received and landed (ISO 8601, UTC), how many of its submissions
    were accepted and returned, and for each thing wrong: sheet, cell, what is wrong in the domain's
    language and in English, and what would be right.
    """
    return {
        "delivery_id": delivery["delivery_id"],
        "source": delivery["source"],
        "file_name": delivery["file_name"],
        "content_sha256": delivery["content_sha256"],
        "sender": delivery["sender"],
        "received_at": delivery["received_at"].isoformat(),
        "landed_at": delivery["landed_at"].isoformat(),
        "status": delivery["status"],
        "submissions_accepted": delivery["accepted"],
        "submissions_returned": delivery["returned"],
        "lines": [
            {
                "submission_id": line.submission_id,
                "sheet": line.sheet,
                "cell": line.cell,
                "severity": line.severity,
                "code": line.code,
                "message": line.message,
                "message_en": line.message_en,
                "would_be": line.would_be,
            }
            for line in lines
        ],
    }
