"""Which URLs may stand in a file: those of others that we call, and our own that others call."""

from __future__ import annotations

from gateway.settings.mistakes import Place, Report
from gateway.settings.values import Url, host_of, is_loopback, is_plain_http, is_private


def check_public(url: Url, place: Place, report: Report) -> None:
    """That a URL of others is https on the public internet. Not for files that say ``allow_private: true``."""
    if is_plain_http(url):
        report.add(place, "plain http: write https, or set `allow_private: true`")
    elif is_private(host_of(url)):
        report.add(place, "a private address: write a public one, or set `allow_private: true`")


def check_own_url(url: Url, place: Place, report: Report) -> None:
    """Warn about a URL of ours that others would have to call over plain http."""
    if is_plain_http(url) and not is_loopback(host_of(url)):
        report.warn(place, "plain http: tokens and personal data travel in clear; write https")
