"""Receive callbacks in a Flask view.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/frameworks/flask_app.py
"""

from collections.abc import Mapping
from os import environ

from flask import Flask, request

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.events import SimUpdated, SmsCommandChanged
from ringback.receiver.flask import request_of

app = Flask(__name__)
callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ.get("SEEN_DB", "seen.db")),
)


@app.route("/callbacks", methods=["GET", "POST"])
def receive() -> tuple[str, int, Mapping[str, str]]:
    """Receive a callback and answer it."""
    answer = callbacks.handle(request_of(request), work)
    return answer.text, answer.status, answer.headers


def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


if __name__ == "__main__":
    app.run(port=int(environ.get("PORT", "8000")))
