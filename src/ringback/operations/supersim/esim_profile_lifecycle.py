"""The life cycles of eSIM Profiles and Settings Updates: saves the result of each step."""

from dataclasses import replace
from typing import Final

from ringback.core.errors import InvalidParameter
from ringback.core.sims.scenario import (
    CarrierFailure,
    CarrierResult,
    CarrierSucceeded,
    TaskKind,
    failure_in,
)
from ringback.core.supersim.esim_profile import (
    SMDP_PLUS_ADDRESS,
    EsimProfile,
    EsimStatus,
    make_iccid,
    make_matching_id,
)
from ringback.core.supersim.events import EsimProfileChanged
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.supersim.sims import add_sim, with_sim
from ringback.ports import Transaction

_TO: Final = {
    TaskKind.RESERVE_PROFILE: EsimStatus.RESERVING,
    TaskKind.DOWNLOAD_PROFILE: EsimStatus.DOWNLOADED,
    TaskKind.INSTALL_PROFILE: EsimStatus.INSTALLED,
}
"""The steps that only change an eSIM Profile's status, each with the new status."""

STEPS: Final = (*_TO, TaskKind.OFFER_PROFILE)
"""All steps in the life cycle of an eSIM Profile."""

_NEXT: Final = {
    TaskKind.RESERVE_PROFILE: TaskKind.OFFER_PROFILE,
    TaskKind.DOWNLOAD_PROFILE: TaskKind.INSTALL_PROFILE,
}
"""The step that automatically follows each step; a download begins only if a device requests it."""

_REPORTED: Final = frozenset({EsimStatus.AVAILABLE, EsimStatus.DOWNLOADED, EsimStatus.FAILED})
"""The statuses that cause a callback to the order's callback URL."""

_Settings = tuple[OtaSettingsUpdate, SuperSim]


def find_profile(tx: Transaction, sid: str) -> tuple[EsimProfile, None] | None:
    """Return the pair (eSIM Profile, None), or None if the profile is gone.

    Tasks work on a pair of a record and its SIM. An eSIM Profile's task concerns no SIM.
    """
    profile = tx.supersim.esim_profiles.get(sid)
    return None if profile is None else (profile, None)


def find_settings(tx: Transaction, sid: str) -> _Settings | None:
    """Return a Settings Update and its SIM, or None if either is gone."""
    return with_sim(tx, tx.supersim.settings_updates.get(sid))


def end_profile(
    step: TaskKind,
    tx: Transaction,
    found: tuple[EsimProfile, None],
    result: CarrierResult,
    context: OperationContext,
) -> None:
    """Save the result of an eSIM Profile's step, send any callback, and begin the next step.

    An order that can't be fulfilled fails when its profile is offered, not when it is reserved.
    """
    profile, _ = found
    failure = failure_in(result, unanswered=20500)
    if failure is not None and step is TaskKind.INSTALL_PROFILE:
        # No status stands for a failed installation: the device has downloaded the profile.
        return
    if failure is not None and step is not TaskKind.RESERVE_PROFILE:
        profile = _failed(profile, failure, context)
    elif step is TaskKind.OFFER_PROFILE:
        profile = _offered(tx, profile, context)
    else:
        profile = profile.moved(_TO[step], context.now)
    tx.supersim.esim_profiles.save(profile)
    if profile.status in _REPORTED:
        event = EsimProfileChanged.of(profile)
        context.emit(tx, event, profile.callback)
    if profile.status is not EsimStatus.FAILED and step in _NEXT:
        context.begin_step(tx, _NEXT[step], profile, None)


def begin_settings(
    tx: Transaction, found: _Settings, result: CarrierResult, context: OperationContext
) -> None:
    """Save that the network has begun a Settings Update; there is no callback about it."""
    update, sim = found
    tx.supersim.settings_updates.save(
        update.moved(OtaSettingsUpdateStatus.IN_PROGRESS, context.now)
    )
    context.begin_step(tx, TaskKind.END_SETTINGS, update, sim)


def end_settings(
    tx: Transaction, found: _Settings, result: CarrierResult, context: OperationContext
) -> None:
    """Save whether a Settings Update succeeded; there is no callback about it."""
    update, _ = found
    is_done = isinstance(result, CarrierSucceeded)
    status = OtaSettingsUpdateStatus.SUCCESSFUL if is_done else OtaSettingsUpdateStatus.FAILED
    tx.supersim.settings_updates.save(update.moved(status, context.now))


def _offered(tx: Transaction, profile: EsimProfile, context: OperationContext) -> EsimProfile:
    """Create a SIM for a profile, and return the profile as available.

    Returns the profile as failed if the SIM can't be created.
    """
    try:
        sim = add_sim(tx, profile.account_sid, iccid=_free_iccid(tx, context), context=context)
    except InvalidParameter as refused:
        # No address is left for its device, so the order can't be fulfilled.
        return _failed(profile, CarrierFailure(refused.code, refused.message), context)
    has_id = profile.has_matching_id
    return replace(
        profile.moved(EsimStatus.AVAILABLE, context.now),
        iccid=sim.iccid,
        sim_sid=sim.sid,
        smdp_plus_address=SMDP_PLUS_ADDRESS,
        matching_id=make_matching_id(context.random_source.bytes(13)) if has_id else None,
    )


def _failed(
    profile: EsimProfile, failure: CarrierFailure, context: OperationContext
) -> EsimProfile:
    failed = profile.moved(EsimStatus.FAILED, context.now)
    return replace(failed, error_code=str(failure.code), error_message=failure.message)


def _free_iccid(tx: Transaction, context: OperationContext) -> str:
    while True:
        iccid = make_iccid(context.random_source.bytes(8))
        if tx.supersim.sims.first({"iccid": iccid}) is None:
            return iccid
