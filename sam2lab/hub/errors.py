"""`HubError`: AI Hub, or the client that speaks with it, did not do what it was asked."""

from __future__ import annotations


class HubError(OSError):
    """The message says what happened and the way out; `reason` sorts it.

    `reason` is `"client"` (its environment is missing or broken), `"token"`, `"device"`, `"busy"`
    (too many requests), `"unreachable"`, `"download"`, `"job"` (a job failed) or `"refused"`.

    >>> raise HubError("busy", "AI Hub asks to wait")
    Traceback (most recent call last):
    sam2lab.hub.errors.HubError: AI Hub asks to wait
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
