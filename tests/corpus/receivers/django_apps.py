"""Django applications: the middleware for CSRF and slashes, and `request.META`."""

from collections.abc import Callable
from typing import Any, Final, cast

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from tests.corpus.receivers.serving import NO_DEDUPE, Backend, Registry, wsgi

DJANGO: Final[Registry] = {}
_ROUTES: Final = "corpus.routes"
_META: Final = "HTTP_X_TWILIO_SIGNATURE"

urlpatterns: list[URLPattern] = []


def use_own_routes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., Any]:
    """Route each request by the routes of its own application, since all share a process."""

    def middleware(request: HttpRequest) -> HttpResponse:
        cast("Any", request).urlconf = request.META[_ROUTES]
        return get_response(request)

    return middleware


def application(view: Callable[..., Any], at: str = "callbacks") -> Any:
    """Return the WSGI application that has only this view."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["127.0.0.1"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=[
                f"{__name__}.use_own_routes",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
            ],
        )
    django, routes = get_wsgi_application(), (path(at, view),)

    def app(environ: dict[str, Any], start: Any) -> Any:
        return django({**environ, _ROUTES: routes}, start)

    return app


def is_twilio(backend: Backend, request: HttpRequest, signature: str) -> bool:
    """Check a request as Twilio's tutorial for Django does."""
    return backend.is_twilio(str(request.build_absolute_uri()), request.POST, signature)


@wsgi(
    DJANGO,
    f"refuses-kore accepts-both-families accepts-forged-events acts-on-forgeries {NO_DEDUPE}",
)
def django_tutorial(backend: Backend) -> Any:
    """Check URL and `request.POST`, which is empty for JSON."""

    @csrf_exempt
    def receive(request: HttpRequest) -> HttpResponse:
        if not is_twilio(backend, request, request.META.get(_META, "")):
            return HttpResponse(status=403)
        backend.work()
        return HttpResponse()

    return application(receive)


@wsgi(DJANGO, f"refuses-kore refuses-get accepts-both-families {NO_DEDUPE}")
def django_reads_post_after_the_check(backend: Backend) -> Any:
    """Answer 500 to JSON, which has no `request.POST["AccountSid"]`."""

    @csrf_exempt
    @require_POST
    def receive(request: HttpRequest) -> HttpResponse:
        try:
            is_genuine = is_twilio(backend, request, request.META[_META])
        except KeyError:
            is_genuine = False
        if not is_genuine:
            return HttpResponse(status=403)
        backend.work(request.POST["AccountSid"])
        return HttpResponse()

    return application(receive)


@wsgi(
    DJANGO,
    "refuses-kore refuses-get crashes-on-bad-signature accepts-both-families"
    f" accepts-forged-events acts-on-forgeries {NO_DEDUPE}",
)
def django_expects_the_header(backend: Backend) -> Any:
    """Crash without X-Twilio-Signature, so that each of KORE's callbacks gets a 500."""

    @csrf_exempt
    @require_POST
    def receive(request: HttpRequest) -> HttpResponse:
        if not is_twilio(backend, request, request.META[_META]):
            return HttpResponse(status=403)
        backend.work()
        return HttpResponse()

    return application(receive)


@wsgi(DJANGO, f"refuses-post refuses-kore {NO_DEDUPE}")
def django_with_csrf_check(backend: Backend) -> Any:
    """Forget `csrf_exempt`, so that only GET comes through."""

    def receive(request: HttpRequest) -> HttpResponse:
        if not is_twilio(backend, request, request.META.get(_META, "")):
            return HttpResponse(status=403)
        backend.work()
        return HttpResponse()

    return application(receive)


@wsgi(DJANGO, "redirects")
def django_appends_a_slash(_: Backend) -> Any:
    """Have the route `callbacks/`, while the sender is configured without the slash."""
    return application(csrf_exempt(lambda _: HttpResponse()), at="callbacks/")
