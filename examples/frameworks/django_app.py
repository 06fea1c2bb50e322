"""Receive callbacks in a Django view; the whole Django project is this file.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/frameworks/django_app.py
"""

from os import environ

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from ringback.receiver import Callback, Receiver, SqliteDedupe
from ringback.receiver.django import request_of
from ringback.receiver.events import SimUpdated, SmsCommandChanged

callbacks = Receiver(
    environ["CALLBACK_URL"],
    twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
    kore_secrets=[environ["KORE_SECRET"]],
    seen=SqliteDedupe(environ.get("SEEN_DB", "seen.db")),
)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def receive(request: HttpRequest) -> HttpResponse:
    """Receive a callback and answer it."""
    answer = callbacks.handle(request_of(request), work)
    return HttpResponse(answer.text.encode(), status=answer.status, headers=answer.headers)


def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case SmsCommandChanged(sim_sid=sim, payload=payload, status=status):
            print(f"SMS {payload!r} of SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"])
urlpatterns = [path("callbacks", receive)]

if __name__ == "__main__":
    execute_from_command_line([__file__, "runserver", "--noreload", environ.get("PORT", "8000")])
