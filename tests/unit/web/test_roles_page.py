"""Settings, Roles: who holds which role; granting one and ending it, with what is refused."""

from datetime import timedelta

from lti_tool import rights

PAGE = "/desk/settings/roles"
GIVEN = {"role": "coordinator", "reason": "Runs the classes of spring."}


def grant(admin, trainee_id: int, **given: str) -> None:
    """A programme admin more."""
    who = {"person": str(trainee_id), "confirmed": str(trainee_id), "role": "programme_admin"}
    assert admin.send(admin.open(PAGE), PAGE, **who, **given).status == 303


def test_a_role_is_granted_until_a_day_and_ended_with_a_reason(browse, happened) -> None:
    admin = browse(happened.staff)
    given = {"person": "trainee4@example.org", "until": "2026-12-20", **GIVEN}
    asked = admin.send(admin.open(PAGE), PAGE, **given)
    assert "Is this the right person?" in asked.text
    assert "Trainee 4" in asked.text
    assert "https://lms.example.org" in asked.text
    assert "Runs the classes of spring." not in admin.open(PAGE).text
    sent = admin.send(asked, PAGE, **given, confirmed=str(happened.new))
    assert sent.sent_to == f"{PAGE}?done=role_granted"
    page = admin.open(PAGE)
    assert "Trainee 4" in page.text
    assert "Coordinator until 20 Dec 2026" in page.text
    assert "Runs the classes of spring." in page.text
    assert browse(happened.new).open("/desk/equivalencies").status == 200
    grant = next(part for part in page.html.split('"') if part.startswith(f"{PAGE}/") and part.endswith("/end"))
    assert admin.send(page, grant, reason="It is summer.").sent_to == f"{PAGE}?done=role_ended"
    assert "Roles that ended 1" in admin.open(PAGE).text
    log = admin.open(f"/desk/people/{happened.new}").text
    assert "granted the role coordinator until Sun 20 Dec 2026" in log
    assert "ended the role coordinator" in log


def test_what_is_refused_stands_at_its_field_and_keeps_what_was_entered(browse, happened) -> None:
    admin = browse(happened.staff)

    def refused(**changed: str):
        given = {"person": "trainee4@example.org", "confirmed": str(happened.new), **GIVEN, **changed}
        page = admin.send(admin.open(PAGE), PAGE, **given)
        assert page.status >= 400
        assert 'value="Runs the classes of spring."' in page.html or "reason" in changed
        return page.text

    assert "no such" in refused(person="nobody@example.org").lower() or "unknown" in refused(person="x@y.org").lower()
    assert "There is no such role." in refused(role="king")
    assert "The last day of a role lies ahead." in refused(until="2026-11-30")
    assert "This is not a day." in refused(until="soon")
    assert "too far ahead" in refused(until="9999-12-31")
    assert "A reason is missing." in refused(reason="")


def test_the_last_programme_admin_and_platform_admin_stay(browse, happened, database, now) -> None:
    admin = browse(happened.staff)
    with database.read() as connection:
        held = {each.role: each.id for each in rights.grants(connection)}
    for role in (rights.PROGRAMME_ADMIN, rights.PLATFORM_ADMIN):
        page = admin.send(admin.open(PAGE), f"{PAGE}/{held[role]}/end", reason="I leave.")
        assert page.status == 409
        assert f"Someone must hold the role {rights.ROLES[role]} without an end." in page.text
    until = (now + timedelta(days=30)).date().isoformat()
    grant(admin, happened.new, reason="Helps.", until=until)
    assert admin.send(admin.open(PAGE), f"{PAGE}/{held['programme_admin']}/end", reason="I leave.").status == 409
    grant(admin, happened.half, reason="Takes over.")
    assert admin.send(admin.open(PAGE), f"{PAGE}/{held['programme_admin']}/end", reason="I leave.").status == 303


def test_staff_who_used_the_desk_without_a_role_are_listed(browse, happened) -> None:
    teacher = browse(happened.staff, granted=())
    teacher.open(f"/desk/people/{happened.whole}")
    admin = browse(happened.new, granted=(rights.PROGRAMME_ADMIN,))
    page = admin.open(PAGE)
    assert "Used the desk in the last 90 days without a role" in page.text
    assert "Trainee 5" in page.text
    assert f'href="{PAGE}?person={happened.staff}#grant"' in page.html
    assert f'value="{happened.staff}"' in admin.open(f"{PAGE}?person={happened.staff}").html
