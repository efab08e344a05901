"""What a tool must be told about this platform, as the package itself works it out."""

from __future__ import annotations

from typing import Any

from lti_consumer.models import LtiConfiguration
from lti_consumer.utils import (
    get_lms_lti_access_token_link,
    get_lms_lti_keyset_link,
    get_lms_lti_launch_link,
    get_lti_api_base,
)

from sandbox.openedx.models import Unit

DEPLOYMENT_ID = "1"  # Open edX has no other, save with configurations kept outside of it


def configuration_of(unit: Unit) -> LtiConfiguration:
    return LtiConfiguration.objects.select_related("lti_1p3_passport").get(location=unit.usage_key)


def registration_of(unit: Unit) -> dict[str, Any]:
    """The values Studio shows for the unit."""
    configuration = configuration_of(unit)
    return {
        "issuer": get_lti_api_base(),
        "client_id": configuration.lti_1p3_client_id,
        "deployment_id": DEPLOYMENT_ID,
        "auth_login_url": get_lms_lti_launch_link(),
        "token_url": get_lms_lti_access_token_link(configuration.passport_id),
        "key_set_url": get_lms_lti_keyset_link(configuration.passport_id),
    }


def registrations() -> list[dict[str, Any]]:
    """One entry for each client id, with the units that launch under it."""
    found: dict[str, dict[str, Any]] = {}
    for unit in Unit.objects.all():
        values = registration_of(unit)
        found.setdefault(values["client_id"], values | {"units": []})["units"].append(unit.block_id)
    return list(found.values())
