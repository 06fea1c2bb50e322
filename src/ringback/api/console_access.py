"""Signing in to the console, and out of it.

With each request of a browser that is signed in, the console calls `Authenticator.session_caller`.
"""

from ringback.api.dependencies import ApiDependencies
from ringback.operations.console_sessions import BegunSession, begin_session, end_session


async def sign_in_to_console(
    dependencies: ApiDependencies, username: str, password: str, address: str
) -> BegunSession:
    """Begin a session with the credentials that a client at this IP address has given.

    They are those of HTTP Basic: an Account SID and its Auth Token, or an API key SID and its
    secret. Raises Unauthorized if they are wrong, Forbidden if the account is suspended, and
    LoginRateLimited after too many wrong ones.
    """
    authenticator, context = dependencies.authenticator, dependencies.context()
    await authenticator.check_password(username, password, address)
    return await dependencies.store.transact(
        lambda tx: begin_session(
            *(tx, username, password, context), outside=authenticator.outside.now(), address=address
        )
    )


async def sign_out_of_console(
    dependencies: ApiDependencies, token: str, address: str, *, everywhere: bool = False
) -> None:
    """End the session whose token this is, if there is one.

    With `everywhere`, also end all other sessions that the same credential has begun. Other
    processes notice it within a second.
    """
    context = dependencies.context()
    await dependencies.store.transact(
        lambda tx: end_session(tx, token, context, address=address, everywhere=everywhere)
    )
    dependencies.authenticator.forget_sessions()
