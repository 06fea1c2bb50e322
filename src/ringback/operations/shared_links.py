"""Create, open and end links to one callback or destination, which need no signing in."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from ringback.core.accounts.account import EVERY
from ringback.core.accounts.client_credentials import Principal
from ringback.core.accounts.console_session import TOKEN_BYTES, make_token
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.accounts.shared_link import LinkKind, LinkState, SharedLink
from ringback.core.audit import SERVER
from ringback.core.calendar import in_words
from ringback.core.errors import SUPER_SIM, Forbidden, InvalidParameter, NoLongerThere, NotFound
from ringback.core.sids import SidKind
from ringback.operations.authentication import check_active
from ringback.operations.context import OperationContext
from ringback.operations.unique_names import check_label
from ringback.ports import Lane, Transaction


@dataclass(frozen=True, slots=True)
class CreatedLink:
    """A new link and its token; the store has only a hash of the token."""

    link: SharedLink
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that was opened, and the reader that may fetch its subject."""

    link: SharedLink
    reader: Principal
    """The link's account, which can only read. It must see nothing but the link's subject."""


def link_to_callback(tx: Transaction, account_sid: str, sid: str) -> tuple[str, str]:
    """Return the account and the SID of a callback to which a link is wanted.

    For `account_sid`, EVERY is any account. Raises InvalidParameter if the account has no such
    callback.
    """
    callback = tx.callbacks.find(sid)
    if callback is None or account_sid not in (EVERY, callback.account_sid):
        raise InvalidParameter(
            f"Callback={sid!r}: there is no callback with this SID", code=SUPER_SIM.invalid
        )
    return callback.account_sid, callback.sid


def link_to_destination(tx: Transaction, lane: Lane) -> tuple[str, str]:
    """Return the account and the name of a destination to which a link is wanted.

    Raises InvalidParameter if no callback has ever gone there.
    """
    if not tx.destinations.has_lane(lane):
        raise InvalidParameter(
            f"Destination: no callback of {lane.account_sid} was ever sent to {lane.destination}",
            code=SUPER_SIM.invalid,
        )
    return lane.account_sid, lane.destination


def create_link(
    tx: Transaction,
    kind: LinkKind,
    subject: tuple[str, str],
    context: OperationContext,
    *,
    expires: datetime,
    note: str | None = None,
) -> CreatedLink:
    """Create a link to a subject, which is an account and its callback or destination.

    Raises InvalidParameter if the note is not 1 to 64 printable characters.
    """
    if note is not None:
        check_label(note, "a link's note")
    token = make_token(context.random_source.bytes(TOKEN_BYTES))
    account_sid, about = subject
    link = SharedLink(
        sid=context.sid(SidKind.SHARED_LINK),
        account_sid=account_sid,
        kind=kind,
        subject=about,
        note=note,
        token_hash=hash_secret(token),
        created_by=context.actor.id,
        date_created=context.now,
        date_expires=expires,
    )
    tx.shared_links.add(link)
    context.record_of(tx, "CreateLink", after=link)
    return CreatedLink(link, token)


def end_link(tx: Transaction, account_sid: str, sid: str, context: OperationContext) -> SharedLink:
    """End a link, so that nobody can open it any more, and return it.

    For `account_sid`, EVERY is any account. Raises NotFound if the account has no such link, or if
    it has ended or expired already.
    """
    link = tx.shared_links.get(sid)
    if link is None or account_sid not in (EVERY, link.account_sid):
        raise NotFound(f"there is no link {sid!r}")
    state = link.state_at(context.now)
    if state is not LinkState.ACTIVE:
        raise NotFound(f"the link {sid} has {state} already")
    ended = replace(link, date_ended=context.now)
    tx.shared_links.save(ended)
    context.record_of(tx, "EndLink", before=link, after=ended)
    return ended


def open_link(tx: Transaction, token: str, now: datetime) -> OpenedLink:
    """Return the link whose token this is, and the reader that may fetch its subject.

    Raises NotFound if there is none, NoLongerThere if its time is over or it was ended, and
    Forbidden if its account is suspended. The messages are for the person who opens the link.
    """
    link = tx.shared_links.first({"token_hash": hash_secret(token)})
    if link is None:
        raise NotFound(
            "There is no such link. Check that its address is complete, or ask who sent it to you."
        )
    if link.state_at(now) is not LinkState.ACTIVE:
        ended = link.date_ended or link.date_expires
        raise NoLongerThere(
            f"This link ended on {in_words(ended)}. Ask who sent it to you for a new one."
        )
    try:
        account = check_active(tx, tx.accounts.get(link.account_sid))
    except Forbidden:
        raise Forbidden(
            "This link can't be opened at the moment. Ask who sent it to you."
        ) from None
    return OpenedLink(link, Principal(account, SERVER, until=link.date_expires, is_read_only=True))


def note_visit(tx: Transaction, sid: str, now: datetime) -> None:
    """Count that a link was opened, unless that belongs to the same visit as the last time."""
    link = tx.shared_links.get(sid)
    if link is not None and (used := link.used(now)) is not link:
        tx.shared_links.save(used)
