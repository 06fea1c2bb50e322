"""Signing in to the console and out of it, and opening links that need no signing in.

With each request of a browser that is signed in, the console calls `Authenticator.session_caller`.
"""

from ringback.api.dependencies import ApiDependencies
from ringback.operations.console_sessions import BegunSession, begin_session, end_session
from ringback.operations.shared_links import OpenedLink, note_visit, open_link


async def sign_in_to_console(
    dependencies: ApiDependencies, username: str, password: str, address: str
) -> BegunSession:
    """Begin a session with the credentials that a client at this IP address has given.

    They are those of HTTP Basic: an Account SID and its Auth Token, or an API key SID and its
    secret. Raises Unauthorized if they are wrong, Forbidden if the account is suspended,
    LoginRateLimited after too many wrong ones, and TooManyRequests if the account is over its rate
    limit.
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


async def open_shared_link(dependencies: ApiDependencies, token: str) -> OpenedLink:
    """Open the link whose token this is, and count the visit.

    Put its `reader` into the ASGI scope, under `SIGNED_IN`, to fetch the link's subject, and show
    nothing else. Raises NotFound, NoLongerThere and Forbidden, as `open_link` does.
    """
    now, store = dependencies.clock.now(), dependencies.store
    opened = await store.read(lambda tx: open_link(tx, token, now))
    if opened.link.used(now) is not opened.link:
        await store.transact(lambda tx: note_visit(tx, opened.link.sid, now))
    return opened
