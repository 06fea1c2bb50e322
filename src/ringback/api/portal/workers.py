"""The portal's operation that lists the processes of the server, and what each of them does."""

from typing import Final

from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SECONDS,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.shards import SHARDS, Role
from ringback.core.errors import Forbidden
from ringback.ports import Cluster, ClusterMember

WORKERS: Final = CustomJsonSerializer(
    "workers",
    object_of(
        workers=list_of(
            object_of(
                name=TEXT,
                role=one_of(Role),
                started=INSTANT,
                is_alive=FLAG,
                shards=number(0, SHARDS),
                oldest_due=or_null(INSTANT),
                seconds_late=or_null(SECONDS),
            )
        )
    ),
)


class WorkerEndpoints(EndpointGroup):
    """The operation that shows the processes of the server."""

    def __init__(self, dependencies: ApiDependencies, cluster: Cluster) -> None:
        super().__init__(dependencies)
        self._cluster = cluster

    def operations(self) -> list[ApiOperation]:
        """Return the operation that shows the processes."""
        return [
            self.answers(
                *("/portal/v1/workers", "ListWorkers"),
                "List the processes of the server: whether each is alive, how many of the"
                f" {SHARDS} shards of destinations it sends to, and since when the callback that"
                " has waited longest there is due. Needs an operator's key.",
                *(WORKERS, self._list),
                statuses=(200,),
                for_all=True,
            )
        ]

    async def _list(self, call: ApiRequest) -> dict[str, object]:
        if call.account_sid != EVERY:
            raise Forbidden("only an operator's key may see the processes of the server")
        members = await self._cluster.members()
        return {"workers": [await self._shown(member) for member in members]}

    async def _shown(self, member: ClusterMember) -> dict[str, object]:
        now = self._dependencies.clock.now()
        oldest = await self._dependencies.store.read(
            lambda tx: tx.callbacks.oldest_due(member.shards, now)
        )
        return {
            "name": member.name,
            "role": member.role,
            "started": member.started,
            "is_alive": member.is_alive,
            "shards": len(member.shards),
            "oldest_due": oldest,
            "seconds_late": None if oldest is None else (now - oldest).total_seconds(),
        }
