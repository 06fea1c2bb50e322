"""What a receiver has seen already, so that nothing is done twice."""

from ringback.receiver.seen.memory import MemorySeen
from ringback.receiver.seen.postgres import PostgresSeen
from ringback.receiver.seen.redis import RedisSeen
from ringback.receiver.seen.sqlite import SqliteSeen
from ringback.receiver.seen.visit import Done, Ours, Seen, SeenUnavailable, UnderWay, Visit

__all__ = [
    "Done",
    "MemorySeen",
    "Ours",
    "PostgresSeen",
    "RedisSeen",
    "Seen",
    "SeenUnavailable",
    "SqliteSeen",
    "UnderWay",
    "Visit",
]
