"""What `ringback dev --tls` says besides: how an application is led here."""

import shlex
from typing import Final
from urllib.parse import urlsplit

from ringback.api.addressing import KORE_HOSTS, SIM_HOSTS
from ringback.cli.dev_file import DevFile
from ringback.cli.https import USUAL_PORT

_TEMPLATE: Final = """
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


def tls_banner(dev: DevFile) -> str:
    """Return what to say where HTTPS is served."""
    url = urlsplit(dev.tls_url)
    address, port = url.hostname or "", url.port or USUAL_PORT
    return _TEMPLATE.format(
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
