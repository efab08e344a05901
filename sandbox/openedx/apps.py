"""Tells Django what this app's tables are called."""

from __future__ import annotations

from django.apps import AppConfig


class OpenEdxSandboxApp(AppConfig):
    """The tables that stand in for edx-platform's own."""

    name = "sandbox.openedx"
    label = "openedx_sandbox"
    default_auto_field = "django.db.models.BigAutoField"
