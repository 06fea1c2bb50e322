"""Test an application against a Ringback that runs in the test's own process.

    from ringback.testing import Emulator

    with Emulator() as ringback:
        app = make_app(ringback.base_url, ringback.account_sid, ringback.auth_token)
        app.deactivate(ringback.sim_sid, callback_url=ringback.receiver.url("/hook"))
        ringback.expect_callback(SimStatus="inactive", source="twilio")

With pytest, the fixture `emulator` gives each test a fresh emulator.

May import `application` and all packages below it.
Start with `emulator`.
"""

from ringback.core.deprecated_names import renamed
from ringback.core.errors import missing_extra

try:
    from ringback.testing.devices import Device
    from ringback.testing.emulator import Emulator
    from ringback.testing.recording_receiver import RecordingReceiver
    from ringback.testing.sent_callbacks import SentCallback
except ModuleNotFoundError as missing:
    raise missing_extra("ringback.testing", missing) from None

__all__ = ["Device", "Emulator", "RecordingReceiver", "SentCallback"]

__getattr__ = renamed(__name__, {"Receiver": "RecordingReceiver"})
