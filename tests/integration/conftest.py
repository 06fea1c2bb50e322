"""The servers that these tests start once, when the first of them needs one."""

from tests.databases import postgres_dsn, redis_socket

__all__ = ["postgres_dsn", "redis_socket"]
