"""What becomes of eSIM Profiles and Settings Updates."""

from dataclasses import replace
from typing import Final

from ringback.core.errors import Invalid
from ringback.core.scenario import CarriedOut, CarrierFailure, Ending, Step, failure_in
from ringback.core.supersim.esim_profile import (
    SMDP_PLUS_ADDRESS,
    EsimProfile,
    EsimStatus,
    make_iccid,
    make_matching_id,
)
from ringback.core.supersim.events import EsimProfileChanged
from ringback.core.supersim.settings_update import SettingsStatus
from ringback.core.task import Errand, Task
from ringback.operations.moment import Moment
from ringback.operations.supersim.sims import add_sim
from ringback.ports import Transaction

_TO: Final = {
    Step.RESERVE_PROFILE: EsimStatus.RESERVING,
    Step.DOWNLOAD_PROFILE: EsimStatus.DOWNLOADED,
    Step.INSTALL_PROFILE: EsimStatus.INSTALLED,
}
"""Where each step of a profile leads to, that does no more than that."""

_NEXT: Final = {
    Step.RESERVE_PROFILE: Step.OFFER_PROFILE,
    Step.DOWNLOAD_PROFILE: Step.INSTALL_PROFILE,
}
"""The steps that follow by themselves; a download is its device's affair."""

_TOLD: Final = frozenset({EsimStatus.AVAILABLE, EsimStatus.DOWNLOADED, EsimStatus.FAILED})
"""The statuses that whoever ordered the profile is told of."""


def begin_profile(tx: Transaction, task: Task, moment: Moment) -> Errand | None:
    """Have the network take a step with a profile."""
    profile = tx.supersim.esim_profiles.get(task.subject_sid)
    if profile is None:
        return None
    scenario = moment.scenario_of_account(tx, profile.account_sid)
    return Errand(task.step, scenario, profile, None)


def end_profile(tx: Transaction, task: Task, ending: Ending, moment: Moment) -> None:
    """Keep what became of a profile, and tell whoever ordered it.

    Whether an order can be met shows when its profile is offered, not when it is reserved.
    """
    profile = tx.supersim.esim_profiles.get(task.subject_sid)
    if profile is None:
        return
    failure = failure_in(ending, unanswered=20500)
    if failure is not None and task.step is Step.INSTALL_PROFILE:
        # The life cycle knows no such failure: the device has the profile, installed or not.
        return
    if failure is not None and task.step is not Step.RESERVE_PROFILE:
        profile = _failed(profile, failure, moment)
    elif task.step is Step.OFFER_PROFILE:
        profile = _offered(tx, profile, moment)
    else:
        profile = profile.moved(_TO[task.step], moment.now)
    tx.supersim.esim_profiles.save(profile)
    if profile.status in _TOLD:
        event = EsimProfileChanged.of(profile)
        moment.tell(tx, event, profile.callback_url, profile.callback_method)
    if profile.status is not EsimStatus.FAILED and task.step in _NEXT:
        scenario = moment.scenario_of_account(tx, profile.account_sid)
        moment.begin_step(tx, _NEXT[task.step], profile.sid, profile.account_sid, scenario)


def begin_settings(tx: Transaction, task: Task, moment: Moment) -> Errand | None:
    """Have the network write settings to a card."""
    update = tx.supersim.settings_updates.get(task.subject_sid)
    sim = None if update is None else tx.supersim.sims.get(update.sim_sid)
    if update is None or sim is None:
        return None
    return Errand(task.step, moment.scenario_of_sim(tx, sim), update, sim)


def end_settings(tx: Transaction, task: Task, ending: Ending, moment: Moment) -> None:
    """Keep what became of a Settings Update; nobody is told."""
    update = tx.supersim.settings_updates.get(task.subject_sid)
    sim = None if update is None else tx.supersim.sims.get(update.sim_sid)
    if update is None or sim is None:
        return
    if task.step is Step.BEGIN_SETTINGS:
        tx.supersim.settings_updates.save(update.moved(SettingsStatus.IN_PROGRESS, moment.now))
        scenario = moment.scenario_of_sim(tx, sim)
        moment.begin_step(tx, Step.END_SETTINGS, update.sid, update.account_sid, scenario)
        return
    is_done = isinstance(ending, CarriedOut)
    status = SettingsStatus.SUCCESSFUL if is_done else SettingsStatus.FAILED
    tx.supersim.settings_updates.save(update.moved(status, moment.now))


def _offered(tx: Transaction, profile: EsimProfile, moment: Moment) -> EsimProfile:
    """Return a profile that can be downloaded, with the SIM that it is of."""
    try:
        sim = add_sim(tx, profile.account_sid, iccid=_free_iccid(tx, moment), moment=moment)
    except Invalid as refused:
        # There is no address left for its device.
        return _failed(profile, CarrierFailure(refused.code, refused.message), moment)
    has_id = profile.has_matching_id
    return replace(
        profile.moved(EsimStatus.AVAILABLE, moment.now),
        iccid=sim.iccid,
        sim_sid=sim.sid,
        smdp_plus_address=SMDP_PLUS_ADDRESS,
        matching_id=make_matching_id(moment.chance.bytes(13)) if has_id else None,
    )


def _failed(profile: EsimProfile, failure: CarrierFailure, moment: Moment) -> EsimProfile:
    failed = profile.moved(EsimStatus.FAILED, moment.now)
    return replace(failed, error_code=str(failure.code), error_message=failure.message)


def _free_iccid(tx: Transaction, moment: Moment) -> str:
    while True:
        iccid = make_iccid(moment.chance.bytes(8))
        if tx.supersim.sims.first({"iccid": iccid}) is None:
            return iccid
