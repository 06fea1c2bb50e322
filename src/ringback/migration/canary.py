"""Judges whether the URLs that moved deliver at least as well as before.

Laws of this file. A callback counts once its first attempt has ended; it fails where it is
undelivered, or still being tried again. Each URL is held to its own share of failures before; one
that had none of any kind before is held to none. So a receiver that was down before the move, too,
says nothing against it, however much of the traffic it happens to get now. One without callbacks
after the move says nothing either.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from ringback.core.callback_url import CallbackUrl
from ringback.migration.record import Edit, Place
from ringback.ports import Totals


class Target(NamedTuple):
    """Where callbacks go; several places may have the same one, in any fragment."""

    account_sid: str
    url: str
    """Without fragment and credentials."""


class Counts(NamedTuple):
    """How many callbacks went how."""

    delivered: int = 0
    undelivered: int = 0
    retried: int = 0

    @property
    def failing(self) -> int:
        """Those that are undelivered, or tried again."""
        return self.undelivered + self.retried

    @property
    def tried(self) -> int:
        """All that were tried."""
        return self.delivered + self.failing

    @property
    def share(self) -> Fraction:
        """The share that fails; none where nothing was tried.

        >>> Counts(delivered=3, retried=1).share
        Fraction(1, 4)
        """
        return Fraction(self.failing, self.tried) if self.tried else Fraction(0)

    def __str__(self) -> str:
        """Say it in figures.

        >>> str(Counts(3, 1)), str(Counts())
        ('1 of 4 fail (25.0 %)', 'none was tried')
        """
        if not self.tried:
            return "none was tried"
        return f"{self.failing} of {self.tried} fail ({float(self.share):.1%})".replace("%", " %")


_NONE: Final = Counts()


class Watched(NamedTuple):
    """One target that moved, before and after."""

    target: Target
    before: Counts
    after: Counts

    @property
    def is_worse(self) -> bool:
        """Whether a greater share fails than before."""
        return self.after.share > self.before.share

    @property
    def expected(self) -> Fraction:
        """How many of those tried after would fail if it went on as before."""
        return self.before.share * self.after.tried


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a step of a move delivers."""

    watched: Sequence[Watched]
    """In the order of their targets."""

    @property
    def before(self) -> Counts:
        """All targets together, before."""
        return _sum(one.before for one in self.watched)

    @property
    def after(self) -> Counts:
        """All targets together, after."""
        return _sum(one.after for one in self.watched)

    @property
    def expected(self) -> Fraction:
        """How many of those tried after would fail if each went on as before."""
        return sum((one.expected for one in self.watched), Fraction(0))

    @property
    def is_worse(self) -> bool:
        """Whether more fail than would have."""
        return self.after.failing > self.expected

    @property
    def worse(self) -> Sequence[Watched]:
        """The targets that got worse; there is one wherever the whole is."""
        return [one for one in self.watched if one.is_worse]


def judge(before: Sequence[Totals], after: Sequence[Totals], moved: Iterable[Edit]) -> Verdict:
    """Compare how the targets of these edits delivered before they were made, and after.

    After the move what went there by a URL in its new form counts, for the rest hasn't moved;
    before it all the rest, which an earlier move that went back is no part of. An edit whose
    account isn't known has no deliveries.
    """
    new = {shown for edit in moved if (shown := _new_form(edit)) is not None}
    earlier = _by_target(each for each in before if (each.account_sid, each.url) not in new)
    later = _by_target(each for each in after if (each.account_sid, each.url) in new)
    targets = sorted({_target(*each) for each in new})
    return Verdict(
        [Watched(each, earlier.get(each, _NONE), later.get(each, _NONE)) for each in targets]
    )


def worse_of(
    edits: Sequence[Edit], before: Sequence[Totals], after: Sequence[Totals]
) -> Mapping[Place, str]:
    """Return where the edits are whose deliveries got worse, and why; none where the whole did not.

    All places of a target share its figures: nobody knows which of them a callback was for.
    """
    verdict = judge(before, after, edits)
    if not verdict.is_worse:
        return {}
    whys = {one.target: f"{one.after}; before: {one.before}" for one in verdict.worse}
    forms = {edit.place: _new_form(edit) for edit in edits}
    targets = {place: _target(*form) for place, form in forms.items() if form is not None}
    return {place: whys[target] for place, target in targets.items() if target in whys}


def _new_form(edit: Edit) -> tuple[str, str] | None:
    """Return the account and the new URL as totals have them; None where nobody knows whose."""
    owner = edit.place.account_sid
    return None if owner is None else (owner, CallbackUrl.parse(edit.new).shown)


def _target(account_sid: str, shown: str) -> Target:
    return Target(account_sid, shown.partition("#")[0])


def _by_target(many: Iterable[Totals]) -> dict[Target, Counts]:
    found = dict[Target, Counts]()
    for each in many:
        target = _target(each.account_sid, each.url)
        counts = Counts(each.delivered, each.undelivered, each.retried)
        found[target] = _sum([found.get(target, _NONE), counts])
    return found


def _sum(many: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(_NONE, *many, strict=True)))
