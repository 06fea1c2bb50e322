"""Receive callbacks in an ASGI application without a framework.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/frameworks/asgi_app.py
"""

from os import environ

import uvicorn

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.asgi import AsgiCallbackApp
from ringback.receiver.events import SimUpdated, SmsCommandChanged

callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ.get("SEEN_DB", "seen.db")),
)


async def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


app = AsgiCallbackApp(callbacks, work)

if __name__ == "__main__":
    uvicorn.run(app, port=int(environ.get("PORT", "8000")))
