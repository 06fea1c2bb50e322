"""Reads from a request the settings for destinations."""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ringback.api.operation_definition import OperationParameter
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import TEXT, YES_OR_NO, list_of
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.destination_settings import DESTINATION_SETTINGS, DestinationValues
from ringback.core.errors import ConfigurationError, InvalidParameter
from ringback.core.http.connection_profile import MOST_HEADERS, check_headers, read_header
from ringback.core.sources.source_definition import Sources, header_names
from ringback.http_client.tls import check_ca, check_client_certificate
from ringback.operations.destinations import SettingChange

_UNSET: Final = "unset"
_NONE: Final = "none"
VALUES: Final = (
    *(
        OperationParameter(
            setting.parameter,
            TEXT,
            f"{setting.help} `{_UNSET}` for the value that applies otherwise.",
        )
        for setting in DESTINATION_SETTINGS
    ),
    OperationParameter(
        "Header",
        {**list_of(TEXT), "maxItems": MOST_HEADERS},
        "A header to add to requests, like `X-Team: meters`; can be repeated. All together take the"
        f" place of those that were set. `{_NONE}` for none, `{_UNSET}` for those that apply"
        " otherwise.",
    ),
    OperationParameter(
        "ClientCertificate",
        TEXT,
        "The client certificate for these destinations: its certificate, its chain and its private"
        f" key in PEM; also `{_NONE}` or `{_UNSET}`.",
    ),
    OperationParameter(
        "Ca",
        TEXT,
        "Further authorities to trust for these destinations, as certificates in PEM; also"
        f" `{_NONE}` or `{_UNSET}`.",
    ),
    OperationParameter("UnsetAll", YES_OR_NO, "`yes` to unset first all that is set."),
)
"""The parameters that set something for destinations."""


@dataclass(frozen=True, slots=True)
class SettingChangeReader:
    """Reads what a request sets and unsets; raises InvalidParameter for what can't be set."""

    given: RequestParameters
    sources: Sources
    egress_names: Collection[str]
    read_url: Callable[[str], CallbackUrl]

    def read(self) -> SettingChange:
        """Return the settings that the request sets and unsets."""
        given, values, unset = self.given, dict[str, Any](), set[str]()
        for setting in DESTINATION_SETTINGS:
            text = given.text(setting.parameter)
            if text == _UNSET:
                unset.add(setting.name)
            elif text is not None:
                with naming(given, setting.parameter):
                    values[setting.name] = setting.read(text)
        self._check_names(values)
        own: dict[str, Any] = {
            "headers": self._headers(),
            "client_certificate": self._pem("ClientCertificate", check_client_certificate),
            "ca": self._pem("Ca", check_ca),
        }
        unset |= {name for name, value in own.items() if value == _UNSET}
        own = {name: None if value == _UNSET else value for name, value in own.items()}
        begins_anew = given.is_yes("UnsetAll")
        if not (values or unset or begins_anew or any(one is not None for one in own.values())):
            names = ", ".join(one.name for one in VALUES)
            raise given.wrong(f"nothing to set was given; give at least one of {names}")
        return SettingChange(DestinationValues(values, **own), unset, begins_anew)

    def _check_names(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidParameter if a value names an egress or a source that does not exist."""
        used = dict[str, tuple[str, ...]]()
        if values.get("egress") is not None:
            used["Egress"] = (values["egress"],)
        if values.get("notify") is not None:
            with naming(self.given, "Notify"):
                url = self.read_url(self.given.required("Notify"))
            used["Notify"] = url.connection.egress
        for parameter, names in used.items():
            for name in names:
                if name not in self.egress_names:
                    known = ", ".join(self.egress_names) or _NONE
                    raise self.given.wrong(
                        f"{parameter}: there is no egress {name!r}; the settings have: {known}"
                    )

    def _headers(self) -> tuple[tuple[str, str], ...] | str | None:
        """Return the headers, or `unset`; None if none were given."""
        lines = self.given.all("Header")
        if lines in ((), (_UNSET,)):
            return _UNSET if lines else None
        with naming(self.given, "Header"):
            headers = () if lines == (_NONE,) else tuple(map(read_header, lines))
            check_headers(headers, taken=header_names(self.sources))
        return headers

    def _pem(self, name: str, check: Callable[[str], None]) -> str | None:
        """Return a text in PEM, or `unset`; empty for `none`, and None if it was not given."""
        pem = self.given.text(name)
        if pem in (None, _UNSET):
            return pem
        if pem == _NONE:
            return ""
        with naming(self.given, name):
            check(pem)
        return pem


@contextmanager
def naming(given: RequestParameters, name: str) -> Generator[None]:
    """Turn the errors of parsers into InvalidParameter that names the parameter."""
    try:
        yield
    except InvalidParameter as problem:
        raise given.wrong(f"{name}: {problem.message}") from None
    except (ValueError, ConfigurationError) as problem:
        raise given.wrong(f"{name}: {problem}") from None
