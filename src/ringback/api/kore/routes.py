"""The table of routes of KORE's own APIs."""

from starlette.routing import BaseRoute

from ringback.api.kore.accounts import AccountResource
from ringback.api.kore.clients import ClientResource
from ringback.api.kore.secrets import SecretResource
from ringback.api.kore.token import TokenResource
from ringback.api.routing import resource
from ringback.api.services import Services


def kore_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of tokens, API clients, accounts and webhook secrets."""
    secrets, clients = SecretResource(services), ClientResource(services)
    accounts, tokens = AccountResource(services), TokenResource(services)
    return [
        resource("/api-services/v1/auth/token", post=tokens.exchange),
        resource("/webhook/v1/secrets", get=secrets.list, post=secrets.create),
        resource("/webhook/v1/secrets/{id}", patch=secrets.change),
        resource("/client/v1/clients", get=clients.list, post=clients.create),
        resource("/client/v1/clients/{client_id}", get=clients.fetch),
        resource("/client/v1/ping", get=clients.ping),
        resource("/iam/v1/accounts", get=accounts.fetch_all, post=accounts.create),
        resource("/iam/v1/platform_account_mappings", get=accounts.mappings),
    ]
