"""Callbacks in a function of AWS Lambda, whose handler is `lambda_app.handler`.

Behind a function URL, an API Gateway or a load balancer, with CALLBACK_URL, TWILIO_AUTH_TOKEN,
KORE_SECRET and SEEN_DB (`/tmp/seen.db`, say) in its environment. A file is there for one instance
of the function alone: for several, take PostgresDedupe or RedisDedupe.
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
    """Do what a callback is for, once."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


handler = lambda_handler(callbacks, work)
