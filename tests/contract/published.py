"""The vendors' published descriptions of their APIs, if they are beside the checkout."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

FOLDER: Final = Path(__file__).parents[3] / "shared" / "openapi"
VERBS: Final = ("get", "post", "delete")


class Sample(NamedTuple):
    """A published example: a request, and the answer to it."""

    name: str
    operation: str
    verb: str
    path: str
    """The path with its placeholders."""
    form: dict[str, Any]
    status: int
    answer: dict[str, Any]
    schema: dict[str, Any]
    """The status of the answer."""

    @property
    def asked(self) -> str:
        """Return the method and the path."""
        return f"{self.verb} {self.path}"


class Published(NamedTuple):
    """The published description of one status of an operation that has a body."""

    verb: str
    path: str
    status: int
    schema: dict[str, Any]


class Description:
    """One of the files."""

    def __init__(self, name: str) -> None:
        self._whole = json.loads((FOLDER / name).read_text("utf-8"))

    @property
    def host(self) -> str:
        """Return the host name at which the vendor serves the API."""
        return urlsplit(self._whole["servers"][0]["url"]).netloc

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the method, path and description of each operation."""
        for path, item in self._whole["paths"].items():
            for verb in VERBS:
                if verb in item:
                    yield verb.upper(), path, item[verb]

    def samples(self) -> Iterator[Sample]:
        """Yield all examples of all answers, each with its request."""
        for verb, path, operation in self.operations():
            forms = _examples(operation.get("requestBody", {}))
            for status, answer in operation["responses"].items():
                for name, body in _examples(answer).items():
                    yield Sample(
                        name,
                        operation["operationId"],
                        verb,
                        path,
                        forms.get(name, {}),
                        int(status),
                        body,
                        self.resolved(_media_of(answer)["schema"]),
                    )

    def answers(self) -> Iterator[Published]:
        """Yield the successful answers of each operation."""
        for verb, path, operation in self.operations():
            for status in successes_of(operation):
                schema = _media_of(operation["responses"][str(status)]).get("schema")
                if schema is not None:
                    yield Published(verb, path, status, self.resolved(schema))

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with all references in it followed."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self.resolved(self._whole["components"]["schemas"][name])
        resolved = dict(schema)
        if "allOf" in schema:
            parts = [self.resolved(part) for part in resolved.pop("allOf")]
            of = [part.get("properties", {}) for part in parts]
            resolved["properties"] = {name: one for each in of for name, one in each.items()}
        if "properties" in schema:
            of = schema["properties"].items()
            resolved["properties"] = {name: self.resolved(one) for name, one in of}
        if "items" in schema:
            resolved["items"] = self.resolved(schema["items"])
        return resolved


@cache
def description(name: str) -> Description:
    """Return the content of a file; it is read once."""
    return Description(name)


def is_there(name: str) -> bool:
    """Return True if the file is beside the checkout."""
    return (FOLDER / name).exists()


def successes_of(operation: dict[str, Any]) -> list[int]:
    """Return the statuses with which an operation can succeed."""
    return [int(status) for status in operation["responses"] if status.startswith("2")]


def record_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the record in an answer: of the answer itself, or of a list's items."""
    lists = [one["items"] for one in schema["properties"].values() if one.get("type") == "array"]
    return lists[0] if "meta" in schema["properties"] else schema


def form_schema(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an operation's form."""
    return _media_of(operation.get("requestBody", {})).get("schema", {})


def _media_of(holder: dict[str, Any]) -> dict[str, Any]:
    return next(iter(holder.get("content", {}).values()), {})


def _examples(holder: dict[str, Any]) -> dict[str, Any]:
    examples = _media_of(holder).get("examples", {})
    return {name: example["value"] for name, example in examples.items()}
