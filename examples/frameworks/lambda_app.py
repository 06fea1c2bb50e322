"""Receive callbacks in an AWS Lambda function, whose handler is `lambda_app.handler`.

Put it behind a function URL, an API Gateway or a load balancer, and set CALLBACK_URL,
TWILIO_AUTH_TOKEN, KORE_SECRET and SEEN_DB (such as `/tmp/seen.db`) in its environment. Each
instance of a function has its own files: for several, use PostgresDedupe or RedisDedupe.
"""

from os import environ

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.aws_lambda import lambda_handler
from ringback.receiver.events import SimUpdated, SmsCommandChanged

callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ["SEEN_DB"]),
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


handler = lambda_handler(callbacks, work)
