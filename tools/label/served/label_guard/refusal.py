"""A request that is not served."""


class Refusal(Exception):  # noqa: N818 (an answer, not an error of ours)
    """Why, in one line, and the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
