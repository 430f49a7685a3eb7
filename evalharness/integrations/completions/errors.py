"""What the server says when it cannot answer: the error body of OpenAI's interface."""

from __future__ import annotations

__all__ = ["ApiError", "error_body"]

_TYPES = {401: "authentication_error", 404: "not_found_error", 500: "server_error", 503: "server_error"}


class ApiError(Exception):
    """An answer with `status` and an error body; `param` is the field of the request that is at fault."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.code = code


def error_body(error: ApiError) -> dict[str, object]:
    """The JSON of `error`: `{"error": {message, type, param, code}}`."""
    kind = _TYPES.get(error.status, "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}
