"""The words for what a trigger has caused."""

from typing import Any

from ringback.triggers import TRIGGERS
from ringback.triggers.outcome import outcome_of, why_not_as_promised

SENT: dict[str, Any] = {"parameters": {"SimSid": "HS01", "CommandSid": "HC01", "Status": "sent"}}
FAILED: dict[str, Any] = {
    "parameters": {"Status": "failed", "ErrorCode": "20500", "ErrorMessage": "it could not be sent"}
}


def test_the_outcome_is_the_new_status_with_the_error_code() -> None:
    assert (outcome_of(SENT), outcome_of(FAILED)) == (
        "Status=sent",
        "Status=failed ErrorCode=20500",
    )


def test_callbacks_as_promised_need_no_words() -> None:
    assert why_not_as_promised(TRIGGERS["sms.sent"], [SENT], hint="look") is None


def test_other_callbacks_are_explained_by_their_error_or_by_the_hint() -> None:
    trigger = TRIGGERS["sms.delivered"]
    promised = "sms.delivered should cause Status=sent; Status=delivered, but it caused "
    assert why_not_as_promised(trigger, [FAILED], hint="look") == (
        f"{promised}Status=failed ErrorCode=20500: it could not be sent"
    )
    assert why_not_as_promised(trigger, [SENT], hint="look") == f"{promised}Status=sent: look"
