"""Callbacks as tests see them, with parameters, URL, source and attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ringback.core.callbacks.callback import Attempt, CallbackRecord


@dataclass(frozen=True, slots=True)
class SentCallback:
    """A callback and its attempts so far."""

    sid: str
    parameters: Mapping[str, str]
    """The parameters of the payload, by name."""
    source: str
    """The infrastructure that sends the callback: `twilio` or `kore`."""
    source_reason: str
    """Why the callback is sent from this source."""
    url: str
    """The configured URL with its fragment, but without credentials."""
    method: str
    idempotency_token: str
    status: str
    """The delivery status: `scheduled`, `delivered`, `failed` or `discarded`."""
    attempts: tuple[Attempt, ...]
    """The attempts, each with its exact request, the answer, and the reason if it failed."""

    def __str__(self) -> str:
        """Return the callback as one line of text: status, source, method, URL and parameters."""
        words = " ".join(f"{name}={value}" for name, value in self.parameters.items())
        is_settled = self.status == "delivered" or not self.attempts
        reason = "" if is_settled else f" ({self.attempts[-1].reason})"
        return f"{self.status}{reason} from {self.source}: {self.method} {self.url} {words}"


@dataclass(frozen=True, slots=True)
class ExpectedCallback:
    """The conditions for a callback that a test waits for; None matches any value."""

    parameters: Mapping[str, str]
    source: str | None = None
    url: str | None = None
    method: str | None = None
    status: str | None = None

    def fits(self, callback: SentCallback) -> bool:
        """Return True if the callback meets all conditions."""
        return (
            self.parameters.items() <= callback.parameters.items()
            and self.source in (None, callback.source)
            and self.url in (None, callback.url, callback.url.partition("#")[0])
            and self.method in (None, callback.method)
            and self.status in (None, callback.status)
        )

    def __str__(self) -> str:
        """Return the conditions as one line of text."""
        words = [f"{name}={value!r}" for name, value in self.parameters.items()]
        rest = {"source": self.source, "url": self.url, "method": self.method}
        words += [f"{name} {value}" for name, value in rest.items() if value is not None]
        return ", ".join([f"status {self.status}", *words])


def sent(callback: CallbackRecord, attempts: Sequence[Attempt]) -> SentCallback:
    """Return a stored callback and its attempts as the `SentCallback` that tests see."""
    return SentCallback(
        sid=callback.sid,
        parameters=dict(callback.parameters),
        source=callback.source,
        source_reason=callback.source_reason,
        url=callback.url.shown,
        method=callback.method,
        idempotency_token=callback.idempotency_token,
        status=callback.status,
        attempts=tuple(attempts),
    )


def in_lines(callbacks: Sequence[SentCallback]) -> str:
    """Return the callbacks as text, one per line; ` none` if there are none."""
    return "".join(f"\n  {callback}" for callback in callbacks) or " none"
