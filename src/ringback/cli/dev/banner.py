"""The text that `ringback dev` prints when it is up."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ringback import __version__
from ringback.api.host_routing import EVENT_HOSTS, KORE_HOSTS, SIM_HOSTS
from ringback.cli.clock import ahead_in_words
from ringback.core.policy.source_policy import Phase
from ringback.core.sources.source_definition import BUILT_IN
from ringback.dev_environment.dev_file import (
    NO_GATEWAY,
    NO_TLS,
    THIS_MACHINE,
    DevServerDetails,
    path_in,
)
from ringback.dev_environment.dev_https import USUAL_PORT
from ringback.ports import SendingPause
from ringback.settings.settings import Settings

_TEMPLATE = """\
Ringback {version} serves the Super SIM API at {base_url}  (Ctrl-C stops it)
and Programmable Wireless at {base_url}/wireless

See each callback in a browser, and why it came from where:

  {console_url}
{warning}{paused}
  Account SID          {account_sid}
  Auth Token           {auth_token}
  API key              {api_key_sid}
  API key secret       {api_key_secret}
  KORE webhook secret  {kore_secret}
  SIM                  {sim_sid}
  Wireless SIM         {wireless_sim_sid}
  Devices send to      {gateway}
  Phase                {phase_line}
                       {phase_help}{change_lines}{clock_line}
  Data file            {data_file}
                       {dev_file} has all of this for programs

Paste this into a second and a third terminal, so that they know `ringback` and these values:

  {preparation}
  eval "$(ringback env)"

1. In the second terminal, receive callbacks:

  ringback listen

2. In the third, deactivate the SIM, as KORE's notice does. The callback comes from {first_source}:

  curl -u "$API_KEY:$API_KEY_SECRET" -X POST "$BASE_URL/v1/Sims/$SIM_SID" \\
    -d 'CallbackUrl=http://127.0.0.1:9000/path?foo=bar' \\
    -d CallbackMethod=POST \\
    -d Status=inactive

3. Activate it again. {second_source}:

  curl -u "$API_KEY:$API_KEY_SECRET" -X POST "$BASE_URL/v1/Sims/$SIM_SID" \\
    -d 'CallbackUrl=http://127.0.0.1:9000/path?foo=bar#cbs={second_request}' \\
    -d CallbackMethod=POST \\
    -d Status=active

4. See what was sent, from which source, and why:

  ringback callbacks list
"""

_WARNING = """
  WARNING  {base_url} is open to the network. Every machine that can connect to this one can call
           it. Requests are not encrypted, so these credentials can be read on the way. With them,
           anybody can make this machine send requests to addresses that only it can reach.
           To serve this machine alone, start with --host 127.0.0.1.
"""

_PAUSED: Final = """
  PAUSED   Nothing is sent until `ringback resume`: {reason}.
"""

_TLS_TEMPLATE: Final = """
5. HTTPS is at {tls_url}, for the vendors' host names too, with a CA of its own:

  curl --cacert "$CA_FILE" --connect-to ::{host}:{port} \\
    -u "$API_KEY:$API_KEY_SECRET" "https://{name}/v1/Sims"

   If the URLs of an application can't be changed, make it trust the CA:

  export SSL_CERT_FILE="$CA_FILE" REQUESTS_CA_BUNDLE="$CA_FILE" NODE_EXTRA_CA_CERTS="$CA_FILE"

   or make the whole machine trust it (Debian and Ubuntu):

  sudo cp "$CA_FILE" /usr/local/share/ca-certificates/ringback-dev-ca.crt
  sudo update-ca-certificates

   and add this line to its /etc/hosts:

  {address} {names}
{port_help}"""

_PORT_HELP: Final = """
   The application will connect to port 443, but this is port {port}. Redirect 443 to it:

  sudo {iptables} -t nat -A OUTPUT -d {address} -p tcp --dport 443 -j REDIRECT --to-ports {port}

   or allow Ringback to use port 443, and start it again with --tls-port 443:

  sudo sysctl net.ipv4.ip_unprivileged_port_start=443
"""


def banner(
    dev: DevServerDetails,
    settings: Settings,
    phase: Phase,
    *,
    ahead: timedelta,
    near: Sequence[str] = (),
    pause: SendingPause | None = None,
) -> str:
    """Return the text to print; `near` has a line for each policy change that comes soon.

    `pause` says why nothing is sent; None if the server is not paused.
    """
    shown = _TEMPLATE.format(
        **asdict(replace(dev, gateway=_gateway_line(dev))),
        version=__version__,
        warning=_warning(dev),
        paused="" if pause is None else _PAUSED.format(reason=pause.reason),
        phase_line=_phase_line(phase),
        phase_help=_phase_help(settings),
        change_lines="".join(f"\n                       {change}" for change in near),
        clock_line=f"\n  Clock                {ahead_in_words(ahead)}" if ahead else "",
        dev_file=path_in(settings.data),
        preparation=_preparation(settings),
        first_source=phase.default,
        second_source=_second_source(phase),
        second_request=_second_request(phase),
    )
    return shown if dev.tls_url == NO_TLS else shown + tls_banner(dev)


def _warning(dev: DevServerDetails) -> str:
    return "" if dev.reachable_from == THIS_MACHINE else _WARNING.format(base_url=dev.base_url)


def _gateway_line(dev: DevServerDetails) -> str:
    if dev.gateway == NO_GATEWAY:
        return "nowhere: no gateway is open (--gateway); datagrams stay in the simulated network"
    return f"{dev.gateway} (UDP); see `ringback device show`"


def _phase_line(phase: Phase) -> str:
    others = sorted(phase.may_ask - {phase.default})
    if others:
        asked = " or ".join(f"#cbs={other}" for other in others)
        return f"{phase.name}: {phase.default} sends, unless a URL ends with {asked}"
    return f"{phase.name}: {phase.default} sends, whatever a URL asks for"


def _second_request(phase: Phase) -> str:
    """Return the source that the second example's URL asks for: if possible, not the default."""
    others = sorted((phase.may_ask or set(BUILT_IN)) - {phase.default})
    return (others or sorted(set(BUILT_IN) - {phase.default}))[0]


def _second_source(phase: Phase) -> str:
    asked = _second_request(phase)
    if asked in phase.may_ask:
        return f"The URL asks for {asked}, and the callback comes from there"
    return (
        f"The URL asks for {asked}, but the callback comes from {phase.default}:\n"
        f"   in phase {phase.name}, {asked} sends nothing any more"
    )


def _phase_help(settings: Settings) -> str:
    names = "|".join(phase.name for phase in settings.policy.phases)
    return f"change it with --phase {names}, or --at 2024-10-20"


def tls_banner(dev: DevServerDetails) -> str:
    """Return the part of the text that explains how to use HTTPS."""
    url = urlsplit(dev.tls_url)
    address, port = url.hostname or "", url.port or USUAL_PORT
    return _TLS_TEMPLATE.format(
        tls_url=dev.tls_url,
        ca_file=shlex.quote(dev.ca_file),
        host=f"[{address}]" if ":" in address else address,
        address=address,
        port=port,
        name=SIM_HOSTS[0],
        names=" ".join((*SIM_HOSTS, *EVENT_HOSTS, *KORE_HOSTS)),
        port_help="" if port == USUAL_PORT else _port_help(address, port),
    )


def _port_help(address: str, port: int) -> str:
    iptables = "ip6tables" if ":" in address else "iptables"
    return _PORT_HELP.format(address=address, port=port, iptables=iptables)


def _preparation(settings: Settings) -> str:
    """Return the shell command that lets another terminal find `ringback` and the data folder."""
    data = f"RINGBACK_DATA={shlex.quote(str(settings.data.absolute()))}"
    program = _program()
    if program is None:
        return f"alias ringback={shlex.quote(f'{sys.executable} -m ringback')}; export {data}"
    found = shutil.which(program.name)
    # An active virtual environment is on the PATH of this terminal alone.
    is_everywhere = program.parent != Path(sys.prefix, "bin")
    if found is not None and Path(found).samefile(program) and is_everywhere:
        return f"export {data}"
    return f'export PATH={shlex.quote(str(program.parent))}:"$PATH" {data}'


def _program() -> Path | None:
    """Return the `ringback` of this installation, or None if it has only the Python package."""
    started = Path(sys.argv[0]).absolute()
    if started.stem == "ringback":
        return started
    beside = Path(sys.executable).absolute().with_name("ringback")
    return beside if beside.exists() else None
