"""Every error that a caller or a publisher can meet: its status, its code, its message.

The message names the value and the way out. It is shown to callers, so it holds no path, bucket or key.
"""

from typing import Any, ClassVar, Self


class ServingError(Exception):
    """The root of the tree; raised itself only for what nobody foresaw."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def again(self, retry_after: int | None = None) -> Self:
        """A new error that says the same: one that is raised twice collects tracebacks, and keeps what they hold.

        Args:
            retry_after: counts unless the error itself asks for more.
        """
        fresh = type(self).__new__(type(self), *self.args)
        fresh.__dict__.update(self.__dict__)
        fresh.headers = dict(self.headers)
        if retry_after is not None:
            fresh.headers["Retry-After"] = str(max(retry_after, int(self.headers.get("Retry-After", 0))))
        return fresh


# The request cannot be read.


class InvalidRequest(ServingError):
    """The body is not what its length, encoding or syntax promise."""

    status = 400
    code = "invalid_request"


class IncompleteBody(InvalidRequest):
    code = "incomplete_body"


class InvalidEncoding(InvalidRequest):
    code = "invalid_encoding"


class InvalidJson(InvalidRequest):
    code = "invalid_json"


class DuplicateKey(InvalidJson):
    code = "duplicate_key"


class JsonTooDeep(InvalidJson):
    code = "json_too_deep"


class Unauthenticated(ServingError):
    """Nobody knows who asks."""

    status = 401
    code = "unauthenticated"

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message, **more)
        # RFC 9110, 11.6.1: every 401 says how to do better.
        self.headers["WWW-Authenticate"] = 'ApiKey realm="models", Bearer realm="models"'


class KeyExpired(Unauthenticated):
    code = "key_expired"


class Forbidden(ServingError):
    """It is known who asks, and it may not ask for this."""

    status = 403
    code = "forbidden"


class RouteNotFound(ServingError):
    status = 404
    code = "not_found"


class ModelNotFound(ServingError):
    status = 404
    code = "model_not_found"


class VersionNotFound(ModelNotFound):
    """The model is there, and its version that is asked for is not."""


class MethodNotAllowed(ServingError):
    status = 405
    code = "method_not_allowed"


class NotAcceptable(ServingError):
    """The caller takes only a form of answer that the model does not have."""

    status = 406
    code = "not_acceptable"


class BodyTimeout(ServingError):
    """The caller stopped in the middle of its request."""

    status = 408
    code = "body_timeout"


class PayloadTooLarge(ServingError):
    status = 413
    code = "payload_too_large"


class UriTooLong(ServingError):
    status = 414
    code = "uri_too_long"


class HeadersTooLarge(ServingError):
    status = 431
    code = "headers_too_large"


class UnsupportedMediaType(ServingError):
    status = 415
    code = "unsupported_media_type"


class InvalidInput(ServingError):
    """The request reads well and says something the model cannot take.

    Args:
        path: where in the request the value stands, as ``data[2].alcohol``.
    """

    status = 422
    code = "invalid_input"

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message, details=[{"path": path, "message": message}])
        self.path = path


class NotSupported(ServingError):
    """A protocol has it, and nothing here does."""

    status = 501
    code = "not_supported"


class RateLimited(ServingError):
    """This caller has asked more than it may; others may ask on."""

    status = 429
    code = "rate_limited"


# The instance cannot answer.


class AuthUnavailable(ServingError):
    """Nobody can be let in, because who may come in cannot be found out."""

    status = 503
    code = "auth_unavailable"


class Draining(ServingError):
    """The instance is about to end; another one answers."""

    status = 503
    code = "draining"


class ModelError(ServingError):
    """The model itself raised on an input that passed every check."""

    code = "model_error"


class ModelUnavailable(ServingError):
    """The model exists and cannot be loaded now."""

    status = 503
    code = "model_unavailable"


class InsufficientMemory(ModelUnavailable):
    """The model fits into this instance, but not beside those that are in use now."""

    code = "insufficient_memory"


class ModelTooLarge(ServingError):
    """The model never fits into an instance of this size; no retry helps."""

    code = "model_too_large"


class FunctionUnreachable(ServingError):
    """The gateway got no answer from the family's function."""

    status = 503
    code = "function_unreachable"


class Overloaded(ServingError):
    """More requests wait than the instance will get to soon."""

    status = 503
    code = "overloaded"


class DeadlineExceeded(ServingError):
    """The request's time is over; what it asked for is not begun, or not finished."""

    status = 504
    code = "deadline_exceeded"


class CallerGone(ServingError):
    """The caller hung up, so that nobody will read this; the status is for the log."""

    status = 499
    code = "caller_gone"


class ConfigurationInvalid(ServingError):
    """The function's own settings cannot work; no retry helps."""

    status = 503
    code = "configuration_invalid"


# The store does not do what was asked.


class StoreUnavailable(ModelUnavailable):
    code = "store_unavailable"


class ObjectNotFound(ServingError):
    """The store has no object of that name. The repository says what it means."""

    status = 503
    code = "object_not_found"


class Conflict(ServingError):
    """Somebody else wrote first. Never answered to a prediction: clients would repeat it."""

    status = 409
    code = "conflict"


# The artifact is refused, before a byte of it is unpickled.


class ArtifactRefused(ServingError):
    status = 503
    code = "artifact_refused"


class ManifestInvalid(ArtifactRefused):
    code = "manifest_invalid"


class SignatureRefused(ArtifactRefused):
    code = "signature_refused"


class DigestMismatch(ArtifactRefused):
    code = "digest_mismatch"


class PythonMismatch(ArtifactRefused):
    code = "python_mismatch"


class PackageMismatch(ArtifactRefused):
    code = "package_mismatch"


class GlobalRefused(ArtifactRefused):
    """The stream names a class or function that the manifest does not list."""

    code = "global_refused"


class SelfTestFailed(ArtifactRefused):
    """The model does not answer its own sample as it did when it was published."""

    code = "self_test_failed"


class SelfTestHangs(SelfTestFailed):
    """It does not answer its sample at all, so that it is not asked again.

    Args:
        ended: whether the attempt is over; else it keeps its memory.
    """

    def __init__(self, message: str, *, ended: bool) -> None:
        super().__init__(message)
        self.ended = ended


def error_classes() -> list[type[ServingError]]:
    """Every class of the tree that has a code of its own, the root first."""
    found = [ServingError]
    for cls in found:
        found.extend(kind for kind in cls.__subclasses__() if "code" in vars(kind))
    return found
