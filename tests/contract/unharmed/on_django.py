"""What Django has of its own: settings, which are a process's, and where routes stand."""

from __future__ import annotations

import django

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.urls import path

from tests.contract.drivers.django import Urls, configure


class Noting:
    """A middleware, which Django makes by its name."""

    sync_capable = async_capable = True
    endpoints = None

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        self.endpoints.passed(error)


def django_handler(handler, endpoints, view):
    """A handler of WSGI or ASGI, given the view of each endpoint's name."""
    configure()
    Noting.endpoints = endpoints
    settings.ROOT_URLCONF = Urls([path(name, view(name)) for name in endpoints.NAMES])
    settings.MIDDLEWARE = [f"{__name__}.{Noting.__name__}"]
    django.urls.clear_url_caches()
    django.urls.set_urlconf(None)
    try:
        return handler()
    finally:
        settings.MIDDLEWARE = []
