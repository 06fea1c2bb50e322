"""The vendors' published descriptions of the Super SIM API, where they lie beside the checkout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parents[3] / "shared" / "openapi"
FILES: Final = ("twilio_supersim_v1.json", "kore-supersim-v1.json")
VERBS: Final = ("get", "post", "delete")


class Sample(NamedTuple):
    """A published example: what is sent, and what is answered to it."""

    vendor: str
    name: str
    operation: str
    verb: str
    path: str
    """With its placeholders."""
    form: dict[str, Any]
    status: int
    answer: dict[str, Any]
    schema: dict[str, Any]
    """Of the answer."""

    @property
    def label(self) -> str:
        return f"{self.vendor} {self.operation} {self.name}"


class Description:
    """One of the files."""

    def __init__(self, name: str) -> None:
        self.vendor = name.replace("_", "-").split("-")[0]
        self._whole = json.loads((FOLDER / name).read_text("utf-8"))

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield verb, path and description of each operation."""
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
                        self.vendor,
                        name,
                        operation["operationId"],
                        verb,
                        path,
                        forms.get(name, {}),
                        int(status),
                        body,
                        self.resolved(_media_of(answer)["schema"]),
                    )

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with all references in it followed."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self.resolved(self._whole["components"]["schemas"][name])
        resolved = dict(schema)
        if "properties" in schema:
            of = schema["properties"].items()
            resolved["properties"] = {name: self.resolved(one) for name, one in of}
        if "items" in schema:
            resolved["items"] = self.resolved(schema["items"])
        return resolved


def descriptions() -> list[Description]:
    """Return those that are there."""
    return [Description(name) for name in FILES if (FOLDER / name).exists()]


def record_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the record in an answer: of the whole, or of what a list has."""
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
