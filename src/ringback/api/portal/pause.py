"""The portal's operations that show whether the server is paused, pause it, and resume it."""

from collections.abc import Awaitable, Callable
from typing import Final

from ringback.api.authentication import actor_of
from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.schema_pieces import FLAG, INSTANT, TEXT, number, object_of, or_null, text
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY
from ringback.core.errors import Forbidden
from ringback.engine.pause_control import PauseControl
from ringback.operations.sending_pause import BY_AN_OPERATOR, PauseStatus

_PATH: Final = "/portal/v1/pause"
_LONGEST_REASON: Final = 200
_COUNT: Final = number(0)

PAUSE: Final = CustomJsonSerializer(
    "pause",
    object_of(
        is_paused=FLAG,
        paused_since=or_null(INSTANT),
        reason=or_null(TEXT),
        callbacks_waiting=_COUNT,
        callbacks_due=_COUNT,
        oldest_due=or_null(INSTANT),
        tasks_due=_COUNT,
    ),
)
_TAKES: Final = (
    OperationParameter(
        "Reason",
        text(longest=_LONGEST_REASON),
        f"Why, for those who look at the server; `{BY_AN_OPERATOR}` if it is not given.",
    ),
)


class PauseEndpoints(EndpointGroup):
    """The operations by which an operator lets the server send nothing for some time."""

    def __init__(self, dependencies: ApiDependencies, control: PauseControl) -> None:
        super().__init__(dependencies)
        self._control = control

    def operations(self) -> list[ApiOperation]:
        """Return the operations on the pause."""
        needs = "Needs an operator's key."
        shows = (
            "Show whether the server is paused, since when and why, and how much is due: that is"
            f" sent as soon as it is resumed. {needs}"
        )
        pauses = (
            "Pause the server: it accepts requests and stores callbacks, but sends no callback and"
            " no shadow copy, and asks no carrier. Requests that are under way may still end. The"
            f" pause lasts until it is ended, also after a restart. {needs}"
        )
        resumes = f"End the pause, so that everything that is due is sent now. {needs}"
        return [
            self.answers(*(_PATH, "FetchPause", shows, PAUSE, self._shown), for_all=True),
            self.answers(
                *(_PATH, "PauseServer", pauses, PAUSE, self._doing(self._pause)),
                verb="POST",
                takes=_TAKES,
                for_all=True,
            ),
            self.answers(
                *("/portal/v1/resume", "ResumeServer", resumes, PAUSE, self._doing(self._resume)),
                verb="POST",
                for_all=True,
            ),
        ]

    async def _shown(self, call: ApiRequest) -> dict[str, object]:
        if call.account_sid != EVERY:
            raise Forbidden("only an operator's key may see or change whether the server is paused")
        now = self._dependencies.clock.now()
        status = await self.read(call.account_sid, lambda tx: PauseStatus.of(tx, now))
        return status.record()

    def _doing(
        self, change: Callable[[ApiRequest], Awaitable[object]]
    ) -> Callable[[ApiRequest], Awaitable[dict[str, object]]]:
        async def work(call: ApiRequest) -> dict[str, object]:
            await self._shown(call)  # refuses who may not
            await change(call)
            return await self._shown(call)

        return work

    async def _pause(self, call: ApiRequest) -> None:
        reason = call.given.label("Reason", longest=_LONGEST_REASON)
        await self._control.pause(reason or BY_AN_OPERATOR, actor_of(call.request))

    async def _resume(self, call: ApiRequest) -> None:
        await self._control.resume(actor_of(call.request))
