"""Stores the versions of the policy, each as a text in JSON."""

from datetime import datetime
from typing import Final

from ringback.core.policy.policy_version import PolicyVersion, read_policy_text, write_policy
from ringback.stores.sql.field_columns import from_us, to_us
from ringback.stores.sql.write_batch import SqlRow, WriteBatch

_ANY: Final = 2**63 - 1
"""A number that no version reaches."""


class SqlPolicyVersions:
    """Implements `ports.PolicyVersions`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def newest(self, *, after: int = 0) -> PolicyVersion | None:
        row = self._session.read(
            "SELECT * FROM policy_versions"
            " WHERE number = (SELECT max(number) FROM policy_versions) AND number > ?",
            [after],
        ).fetchone()
        return row and _read(row)

    def made_until(self, at: datetime, *, below: int | None = None) -> PolicyVersion | None:
        row = self._session.read(
            "SELECT * FROM policy_versions WHERE created_us <= ? AND number < ?"
            " ORDER BY number DESC LIMIT 1",
            (to_us(at), _ANY if below is None else below),
        ).fetchone()
        return row and _read(row)

    def made_by(self, file_hash: str) -> PolicyVersion | None:
        row = self._session.read(
            "SELECT * FROM policy_versions WHERE file_hash = ?", [file_hash]
        ).fetchone()
        return row and _read(row)

    def add(self, version: PolicyVersion) -> bool:
        added = self._session.write(
            "INSERT INTO policy_versions (number, policy, created_us, origin, file_hash)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                version.number,
                write_policy(version.policy),
                to_us(version.date_created),
                version.origin,
                version.file_hash,
            ),
        )
        return added.rowcount > 0


def _read(row: SqlRow) -> PolicyVersion:
    return PolicyVersion(
        row["number"],
        read_policy_text(row["policy"]),
        from_us(row["created_us"]),
        row["origin"],
        row["file_hash"],
    )
