"""The desk's page on platforms: what staff see of each, and what they decide."""

from datetime import datetime

import pytest
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.tables.operations import audit_log
from lti_tool.tables.platforms import registration_invitations
from tests.platform import code_of

LIST = "/desk/platforms"


def add(database: Database, now: datetime, client_id: str, *deployments: str, **given) -> int:
    new = registration.NewRegistration(
        issuer=given.pop("issuer", "https://moodle.example.org"),
        client_id=client_id,
        auth_login_url="https://moodle.example.org/auth",
        token_url="https://moodle.example.org/token",
        key_set_url=given.pop("key_set_url", "https://moodle.example.org/keys"),
        profile="moodle",
    )
    ways = {"came_by": "dynamic", "status": "pending"} | given
    with database.write() as connection:
        return registration.add(connection, new, deployments, actor="invitation:1", now=now, **ways)


def status(database: Database, registration_id: int) -> str:
    with database.read() as connection:
        return registration.load(connection, registration_id).status


def acts(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        query = select(audit_log.c.act, audit_log.c.actor).where(audit_log.c.subject.like("platform:%"))
        return [(row.act, row.actor) for row in connection.execute(query.order_by(audit_log.c.id))]


def test_every_registration_stands_under_its_issuer(browse, happened, database, now) -> None:
    add(database, now, "moodle-1", "1", status="active")
    add(database, now, "moodle-2", "1", "2", status="active")
    page = browse(happened.staff).open(LIST)
    assert page.html.count("https://moodle.example.org</h2>") == 1
    assert page.html.count("https://lms.example.org</h2>") == 1
    text = page.text
    assert "Technical details Platform 1, openedx Issuer https://lms.example.org Client id client-openedx" in text
    assert "you came from here" in text
    assert "1 Dec 2026, registered itself" in text
    assert text.index("moodle-1") < text.index("moodle-2")


def test_a_launch_is_shown_where_there_was_one(browse, happened, database, now) -> None:
    add(database, now, "moodle-1", "1", status="active")
    text = browse(happened.staff).open(LIST).text
    assert "Last launch Just now" in text
    assert "none yet" in text


def test_our_own_addresses_can_be_copied(browse, happened) -> None:
    page = browse(happened.staff).open(LIST)
    for path in ("/lti/login", "/lti/launch", "/lti/jwks.json"):
        assert f'<code class="address">https://gatehouse.example.org{path}</code>' in page.html


def test_one_that_waits_comes_first_and_is_approved(browse, happened, database, now) -> None:
    waiting = add(database, now, "moodle-1", "3")
    staff = browse(happened.staff)
    page = staff.open(LIST)
    assert page.text.index("Needs approval") < page.text.index("client-openedx")
    done = staff.send(page, f"{LIST}/{waiting}/approve")
    assert (done.status, done.sent_to) == (303, f"{LIST}?done=platform_approved")
    assert status(database, waiting) == "active"
    assert acts(database)[-1] == ("platform_approved", f"staff:{happened.staff}")
    assert "Approved." in staff.open(f"{LIST}?done=platform_approved").text
    again = staff.send(page, f"{LIST}/{waiting}/approve")
    assert (again.status, code_of(again.response)) == (409, "platform_not_pending")


def test_without_a_deployment_id_there_is_no_approval(browse, happened, database, now) -> None:
    waiting = add(database, now, "moodle-1")
    staff = browse(happened.staff)
    page = staff.open(LIST)
    assert "none named yet" in page.text
    for path in ("approve", "enable"):
        refused = staff.send(page, f"{LIST}/{waiting}/{path}")
        assert (refused.status, code_of(refused.response)) == (409, "deployment_missing")
    staff.send(page, f"{LIST}/{waiting}/approve", deployment_id=" 3 ")
    with database.read() as connection:
        approved = registration.load(connection, waiting)
    assert (approved.status, approved.deployment_ids) == ("active", {"3"})


def test_keys_that_lie_elsewhere_are_pointed_out(browse, happened, database, now) -> None:
    add(database, now, "moodle-1", "3", key_set_url="https://keys.example.net/k")
    assert "Not at the issuer's own address: https://keys.example.net." in browse(happened.staff).open(LIST).text


def test_who_could_speak_for_a_known_platform_is_not_let_in_from_here(browse, happened, database, now) -> None:
    add(database, now, "moodle-1", "1", status="active")
    twin = add(database, now, "moodle-2", "3", key_set_url="https://moodle.example.org/~somebody/keys")
    staff = browse(happened.staff)
    page = staff.open(LIST)
    assert "https://moodle.example.org is registered here already" in page.text
    assert f"gatehouse platform approve {twin} --confirm" in page.text
    assert f"{LIST}/{twin}/approve" not in page.html
    for way in ("approve", "enable"):
        refused = staff.send(page, f"{LIST}/{twin}/{way}")
        assert (refused.status, code_of(refused.response)) == (409, "platform_doubtful")
    staff.send(page, f"{LIST}/{twin}/disable")
    again = staff.send(page, f"{LIST}/{twin}/enable")
    assert (again.status, code_of(again.response)) == (409, "platform_doubtful")
    assert status(database, twin) == "disabled"


def test_switching_off_is_asked_about_first_and_can_be_undone(browse, happened, database, now) -> None:
    other = add(database, now, "moodle-1", "1", status="active")
    staff = browse(happened.staff)
    question = staff.open(f"{LIST}/{other}/disable")
    assert question.heading == "Switch this platform off?"
    assert "You came from this platform yourself" not in question.text
    assert status(database, other) == "active"
    assert staff.send(question, f"{LIST}/{other}/disable").sent_to == f"{LIST}?done=platform_disabled"
    assert status(database, other) == "disabled"
    page = staff.open(LIST)
    assert "Switched off" in page.text
    assert staff.send(page, f"{LIST}/{other}/enable").sent_to == f"{LIST}?done=platform_enabled"
    assert status(database, other) == "active"
    assert [act for act, _ in acts(database)[-2:]] == ["platform_disabled", "platform_active"]


def test_whoever_switches_off_the_own_platform_is_warned(browse, happened) -> None:
    staff = browse(happened.staff)
    question = staff.open(f"{LIST}/{happened.platform}/disable")
    assert "You came from this platform yourself" in question.text
    assert staff.send(question, f"{LIST}/{happened.platform}/disable").status == 303
    assert staff.open(LIST).status == 403


def test_an_invitation_is_shown_once(browse, happened, database) -> None:
    staff = browse(happened.staff)
    page = staff.send(staff.open(LIST), f"{LIST}/invite")
    assert page.status == 200
    assert "https://gatehouse.example.org/lti/register?invitation=" in page.html
    assert page.response.headers["Cache-Control"] == "no-store"
    with database.read() as connection:
        (digest, by) = connection.execute(
            select(registration_invitations.c.token_digest, registration_invitations.c.invited_by)
        ).one()
    assert by == f"staff:{happened.staff}"
    assert digest not in page.html
    assert "?invitation=" not in staff.open(LIST).html


@pytest.mark.parametrize("path", ["invite", "1/approve", "1/disable", "1/enable"])
def test_only_staff_with_a_form_of_ours_decide(path: str, browse, happened, database) -> None:
    staff, trainee = browse(happened.staff), browse(happened.whole)
    forged = staff.client.post(f"{LIST}/{path}", base_url="https://localhost", data={"csrf": "forged"})
    assert (forged.status_code, code_of(forged)) == (403, "form_not_ours")
    page = trainee.open("/help")
    refused = trainee.client.post(f"{LIST}/{path}", base_url="https://localhost", data={"csrf": "x"})
    assert (page.status, refused.status_code, code_of(refused)) == (200, 403, "role_not_allowed")
    assert status(database, happened.platform) == "active"
    assert trainee.open(LIST).status == 403


def test_what_a_platform_calls_itself_cannot_become_part_of_the_page(browse, happened, database, now) -> None:
    add(database, now, "<script>alert(1)</script>", "<b>", issuer='https://moodle.example.org/"><script>')
    html = browse(happened.staff).open(LIST).html
    assert "<script>alert" not in html
    assert "<b>" not in html
    assert '"><script>' not in html


def test_a_platform_that_is_not_there_is_told(browse, happened) -> None:
    assert browse(happened.staff).open(f"{LIST}/99/disable").status == 404
