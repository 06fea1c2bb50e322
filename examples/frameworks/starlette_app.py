"""Receive callbacks in a Starlette route.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/frameworks/starlette_app.py
"""

from os import environ

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.events import SimUpdated, SmsCommandChanged
from ringback.receiver.starlette import request_of

callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ.get("SEEN_DB", "seen.db")),
)


async def receive(request: Request) -> PlainTextResponse:
    """Receive a callback and answer it."""
    answer = await callbacks.handle_async(await request_of(request), work)
    return PlainTextResponse(answer.text, answer.status, answer.headers)


async def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


app = Starlette(routes=[Route("/callbacks", receive, methods=["GET", "POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(environ.get("PORT", "8000")))
