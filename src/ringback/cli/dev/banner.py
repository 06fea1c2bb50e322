"""The text that `ringback dev` prints when it is up."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ringback import __version__
from ringback.api.host_routing import KORE_HOSTS, SIM_HOSTS
from ringback.cli.clock import ahead_in_words
from ringback.core.policy.source_policy import Phase
from ringback.dev_environment.dev_file import (
    NO_GATEWAY,
    NO_TLS,
    THIS_MACHINE,
    DevServerDetails,
    path_in,
)
from ringback.dev_environment.dev_https import USUAL_PORT
from ringback.settings.setting_definitions import DATA
from ringback.settings.settings import Settings

_TEMPLATE = """\
Ringback {version} serves the Super SIM API at {base_url}  (Ctrl-C stops it)
and Programmable Wireless at {base_url}/wireless
{warning}
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

1. In a second terminal, receive callbacks:

  {listen}

2. In a third, deactivate the SIM, as KORE's notice does. The callback comes from {first_source}:

  export API_KEY={api_key_sid} AUTH_TOKEN={api_key_secret}

  curl -u "$API_KEY:$AUTH_TOKEN" -X POST {base_url}/v1/Sims/{sim_sid} \\
    -d 'CallbackUrl=http://127.0.0.1:9000/path?foo=bar' \\
    -d CallbackMethod=POST \\
    -d Status=inactive

3. Activate it again. The callback comes from kore:

  curl -u "$API_KEY:$AUTH_TOKEN" -X POST {base_url}/v1/Sims/{sim_sid} \\
    -d 'CallbackUrl=http://127.0.0.1:9000/path?foo=bar#cbs=kore' \\
    -d CallbackMethod=POST \\
    -d Status=active

4. See what was sent, from which source, and why:

  {callbacks}
"""

_WARNING = """
  WARNING  {base_url} is open to the network. Anybody who reaches this machine can call it: what is
           sent there, these credentials too, is not encrypted, and with them one can have requests
           sent to what only this machine reaches. --host 127.0.0.1 keeps it to this machine.
"""

_TLS_TEMPLATE: Final = """
5. HTTPS is at {tls_url}, for the vendors' host names too, with a CA of its own:

  export CA={ca_file}

  curl --cacert "$CA" --connect-to ::{host}:{port} -u "$API_KEY:$AUTH_TOKEN" https://{name}/v1/Sims

   To lead an application here whose URLs can't be changed, let it trust the CA:

  export SSL_CERT_FILE="$CA" REQUESTS_CA_BUNDLE="$CA" NODE_EXTRA_CA_CERTS="$CA"

   or let all of this machine, if that is a Debian:

  sudo cp "$CA" /usr/local/share/ca-certificates/ringback-dev-ca.crt && sudo update-ca-certificates

   and add this line to its /etc/hosts:

  {address} {names}
{port_help}"""

_PORT_HELP: Final = """
   That changes no port, and this is {port}, not 443. Lead 443 here, or permit it and start again:

  sudo {iptables} -t nat -A OUTPUT -d {address} -p tcp --dport 443 -j REDIRECT --to-ports {port}

  sudo sysctl net.ipv4.ip_unprivileged_port_start=443
"""


def banner(
    dev: DevServerDetails,
    settings: Settings,
    phase: Phase,
    *,
    ahead: timedelta,
    near: Sequence[str] = (),
) -> str:
    """Return the text, with the changes of the policy that are near."""
    shown = _TEMPLATE.format(
        **asdict(replace(dev, gateway=_gateway_line(dev, settings))),
        version=__version__,
        warning=_warning(dev),
        phase_line=_phase_line(phase),
        phase_help=_phase_help(settings),
        change_lines="".join(f"\n                       {change}" for change in near),
        clock_line=f"\n  Clock                {ahead_in_words(ahead)}" if ahead else "",
        dev_file=path_in(settings.data),
        first_source=phase.default,
        listen=_command("listen", settings),
        callbacks=_command("callbacks list", settings),
    )
    return shown if dev.tls_url == NO_TLS else shown + tls_banner(dev)


def _warning(dev: DevServerDetails) -> str:
    return "" if dev.reachable_from == THIS_MACHINE else _WARNING.format(base_url=dev.base_url)


def _gateway_line(dev: DevServerDetails, settings: Settings) -> str:
    if dev.gateway == NO_GATEWAY:
        return "no gateway (--gateway): datagrams stay within the simulated network"
    return f"{dev.gateway} (UDP); see {_command('device show', settings)}"


def _phase_line(phase: Phase) -> str:
    others = sorted(phase.may_ask - {phase.default})
    if others:
        asked = " or ".join(f"#cbs={other}" for other in others)
        return f"{phase.name}: {phase.default} sends, unless a URL ends with {asked}"
    return f"{phase.name}: {phase.default} sends, whatever a URL asks for"


def _phase_help(settings: Settings) -> str:
    names = "|".join(phase.name for phase in settings.policy.phases)
    return f"change it with --phase {names}, or --at 2024-10-20"


def tls_banner(dev: DevServerDetails) -> str:
    """Return the part of the text about HTTPS."""
    url = urlsplit(dev.tls_url)
    address, port = url.hostname or "", url.port or USUAL_PORT
    return _TLS_TEMPLATE.format(
        tls_url=dev.tls_url,
        ca_file=shlex.quote(dev.ca_file),
        host=f"[{address}]" if ":" in address else address,
        address=address,
        port=port,
        name=SIM_HOSTS[0],
        names=" ".join((*SIM_HOSTS, *KORE_HOSTS)),
        port_help="" if port == USUAL_PORT else _port_help(address, port),
    )


def _port_help(address: str, port: int) -> str:
    iptables = "ip6tables" if ":" in address else "iptables"
    return _PORT_HELP.format(address=address, port=port, iptables=iptables)


def _command(words: str, settings: Settings) -> str:
    program = _program()
    # Without --data, commands look in the default folder.
    folder = str(settings.data)
    named = "" if folder == DATA.default else f" --data {shlex.quote(folder)}"
    return f"{program} {words}{named}"


def _program() -> str:
    """Return the command that starts this program again from the same folder."""
    started = Path(sys.argv[0])
    if started.name != "ringback":
        return "python -m ringback"
    try:
        return shlex.quote(str(started.absolute().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(started))
