"""Receive callbacks in a WSGI application without a framework.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/frameworks/wsgi_app.py
"""

from os import environ
from wsgiref.simple_server import make_server

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.events import SimUpdated, SmsCommandChanged
from ringback.receiver.wsgi import WsgiCallbackApp

callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ.get("SEEN_DB", "seen.db")),
)


def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


app = WsgiCallbackApp(callbacks, work)

if __name__ == "__main__":
    with make_server("127.0.0.1", int(environ.get("PORT", "8000")), app) as server:
        server.serve_forever()
