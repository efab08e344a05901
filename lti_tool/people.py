"""The people known from launches and rosters. An e-mail address finds a person; it never proves an identity.

Two rules compare people: no one decides about themselves, and some decisions need a second person. There an address or
a licence number that two accounts share is enough to refuse (roles.md RL3).
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from lti_tool import signing
from lti_tool.audit import trainee_of
from lti_tool.db import insert_ignoring
from lti_tool.errors import AccessDenied, BadInput, Conflict, NotFound
from lti_tool.intervals import Interval
from lti_tool.languages import known_language
from lti_tool.tables.people import digest_keys, identities, licences, person_joins, trainee_addresses, trainees
from lti_tool.text import clean, email_address

MAX_TEXT = 255
MAX_ID_DIGITS = 18
IDS_IN_ONE_QUERY = 500
# The shortest licence number that a search takes.
MIN_NUMBER = 4
LICENCE = "licence"
# What a person chose counts for more than what a platform says of them.
LANGUAGE = func.coalesce(trainees.c.language, trainees.c.platform_language)


class Profile(NamedTuple):
    """What a platform says of a person, as it is kept: plain and short; None for what it does not say."""

    name: str | None
    email: str | None
    platform_language: str | None = None


def profile(name: str | None, email: str | None, language: str | None = None) -> Profile:
    return Profile(clean(name or "")[:MAX_TEXT] or None, email_address(email or ""), language)


class Person(NamedTuple):
    """The person of a platform identity: id, name, e-mail address and the platform's language."""

    id: int
    name: str | None
    email: str | None
    platform_language: str | None = None


def find_or_add(
    connection: Connection, issuer: str, sub: str, *, name: str | None, email: str | None, now: datetime
) -> int:
    """The trainee of one platform identity, as `find_or_add_all`."""
    return find_or_add_all(connection, issuer, {sub: profile(name, email)}, now)[sub]


def find_or_add_all(
    connection: Connection, issuer: str, profiles: Mapping[str, Profile], now: datetime
) -> dict[str, int]:
    """By `sub`: the trainees of these platform identities, made when a launch names them first.

    `sub` is unique within `issuer` (OpenID Connect Core §2). A name or address that is given replaces the former one.
    No identity changes its trainee until the transaction ends.
    """
    known = add_missing(connection, issuer, profiles, now, hold=True)
    # Most launches change nothing, so only what has changed is written.
    differing = {
        person.id: Profile(*(None if new == old else new for new, old in zip(profiles[sub], person[1:], strict=True)))
        for sub, person in known.items()
    }
    change(connection, {each: news for each, news in differing.items() if any(news)}, now)
    return {sub: person.id for sub, person in known.items()}


def add_missing(
    connection: Connection, issuer: str, profiles: Mapping[str, Profile], now: datetime, *, hold: bool = False
) -> dict[str, Person]:
    """Make known whoever of these is not known yet; what `of_identities` says of all of them then.

    In one order, so that of two rosters with the same people one waits for the other. Of two who name a person first at
    once, one makes the person and both get the same.
    """
    known = of_identities(connection, issuer, list(profiles), hold=hold)
    missing = sorted(profiles.keys() - known.keys())
    if not missing:
        return known
    people = [_person(profiles[sub], now) for sub in missing]
    ids = connection.scalars(_insert_people, people).all()
    rows = [{"issuer": issuer, "sub": sub, "trainee_id": each} for sub, each in zip(missing, ids, strict=True)]
    added = {sub: Person(each, *profiles[sub]) for sub, each in zip(missing, ids, strict=True)}
    if connection.execute(insert_ignoring(connection, identities), rows).rowcount < len(rows):
        found = of_identities(connection, issuer, missing, hold=hold)
        for spare in set(ids) - {person.id for person in found.values()}:
            connection.execute(delete(trainees).where(trainees.c.id == spare))
        known |= found
        added = {sub: person for sub, person in added.items() if found[sub].id == person.id}
    first = [{"trainee_id": each.id, "email": each.email, "since_at": now} for each in added.values() if each.email]
    if first:
        connection.execute(_insert_addresses, first)
    return known | added


def hold(connection: Connection, trainee_ids: Sequence[int]) -> None:
    """Keep others from changing these people until the transaction ends (SQLite has one writer anyway)."""
    for some in _portions(sorted(trainee_ids)):
        locked = select(trainees.c.id).where(trainees.c.id.in_(some)).order_by(trainees.c.id)
        connection.execute(locked.with_for_update(key_share=True))


def change(connection: Connection, news: Mapping[int, Profile], now: datetime) -> None:
    """Replace name, address and language of these people by what is told; None leaves what is kept."""
    rows = [{"person": each, **news[each]._asdict()} for each in sorted(news)]
    if rows:
        connection.execute(_change_person, rows)
        _record_addresses(connection, {each: profile.email for each, profile in news.items()}, now)


def of_identities(connection: Connection, issuer: str, subs: Sequence[str], *, hold: bool = False) -> dict[str, Person]:
    """By `sub`: those of these platform identities that are known. `hold`: no other transaction gives one of them to
    another trainee until this one ends (attendance/person_joins.py)."""
    found: dict[str, Person] = {}
    for some in _portions(subs):
        rows = connection.execute(_held_people if hold else _people, {"issuer": issuer, "subs": some})
        found |= {sub: Person(*person) for sub, *person in rows}
    return found


def find(connection: Connection, id_or_email: str) -> int:
    """The trainee with this id or this e-mail address (compared as `text.email_address` says).

    Raises NotFound "trainee_unknown", Conflict "trainee_ambiguous" where several people launched with the address, and
    BadInput "address_wrong" for several addresses in one text.
    """
    wanted = clean(id_or_email)
    if wanted.isascii() and wanted.isdigit():
        if len(wanted) > MAX_ID_DIGITS:
            raise _unknown()
        return int(trainee(connection, int(wanted)).id)
    if "@" in wanted and email_address(wanted) is None:
        raise BadInput("address_wrong", "This is not one e-mail address.", "Give one address, or the trainee's id.")
    found = with_email(connection, wanted)
    if not found:
        raise _unknown()
    if len(found) > 1:
        ids = ", ".join(map(str, found))
        raise Conflict("trainee_ambiguous", f"Several trainees have this address: {ids}.", "Use the id instead.")
    return found[0]


def with_email(connection: Connection, email: str) -> list[int]:
    """The ids of everybody who launched with this address, lowest first; none for an empty one."""
    address = email_address(email)
    if address is None:
        return []
    return list(connection.scalars(select(trainees.c.id).where(trainees.c.email == address).order_by(trainees.c.id)))


class AddressOwners(NamedTuple):
    """The trainees whom an address identifies at one time. `came_later`: they had it only after that time."""

    trainee_ids: frozenset[int]
    came_later: bool = False


def owners(connection: Connection, emails: Collection[str], during: Interval) -> dict[str, AddressOwners]:
    """By address (as `text.email_address` gives it): whoever had it during this time.

    If it was not anyone's then, it is its first owner's, who launched or was listed later; not if another had it
    before. Two people who share an address are both its owners.
    """
    return {email: owners_during(rows, during) for email, rows in address_history(connection, emails).items()}


def address_history(connection: Connection, emails: Collection[str]) -> dict[str, list[Row[Any]]]:
    """By address (as `text.email_address` gives it): its rows of `trainee_addresses` in order of time."""
    history: dict[str, list[Row[Any]]] = defaultdict(list)
    for some in _portions(sorted(emails)):
        query = select(trainee_addresses).where(trainee_addresses.c.email.in_(some))
        for row in connection.execute(query.order_by(trainee_addresses.c.since_at, trainee_addresses.c.id)):
            history[row.email].append(row)
    return history


def owners_now(connection: Connection, emails: Collection[str]) -> dict[str, AddressOwners]:
    """By address (as `text.email_address` gives it): whoever has it now."""
    found: dict[str, set[int]] = defaultdict(set)
    for some in _portions(sorted(emails)):
        query = select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(some))
        for email, trainee_id in connection.execute(query):
            found[email].add(trainee_id)
    return {email: AddressOwners(frozenset(ids)) for email, ids in found.items()}


def owners_during(rows: Sequence[Row[Any]], during: Interval) -> AddressOwners:
    """As `owners`, from the history of one address."""
    then = [row for row in rows if row.since_at <= during.end and (row.until_at is None or row.until_at > during.start)]
    if then:
        return AddressOwners(frozenset(row.trainee_id for row in then))
    later = [row for row in rows if row.since_at > during.end]
    if not later:
        return AddressOwners(frozenset())
    first = later[0]
    shared = {
        row.trainee_id for row in later if row.since_at == first.since_at or not _is_over(first.until_at, row.since_at)
    }
    had_before = {row.trainee_id for row in rows if row.since_at <= during.end}
    return AddressOwners(frozenset() if had_before - {first.trainee_id} else frozenset(shared), came_later=True)


def _is_over(until_at: datetime | None, at: datetime) -> bool:
    return until_at is not None and until_at <= at


def search(connection: Connection, text: str, limit: int = 20, *among: ColumnElement[bool]) -> list[Row[Any]]:
    """Id, name and e-mail address of those whose name or address contains this text, by name, of all or `among` these.
    A look-up for a person's eyes: it proves no identity. None for a text of fewer than two letters."""
    wanted = clean(text)[:MAX_TEXT]
    if len(wanted) < 2:
        return []
    # SQLite lowers ASCII letters only, so a name is tried as it is usually written too.
    by_name = [trainees.c.name.contains(each, autoescape=True) for each in {wanted, wanted.title()}]
    columns = (trainees.c.name, trainees.c.email)
    lowered = [func.lower(each).contains(wanted.lower(), autoescape=True) for each in columns]
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(or_(*by_name, *lowered), *among)
    return list(connection.execute(query.order_by(func.lower(trainees.c.name), trainees.c.id).limit(limit)))


def with_licence_number(connection: Connection, text: str) -> list[Row[Any]]:
    """Those whose licence in force has exactly this number, as `search` gives them; found by its digest, since numbers
    are encrypted."""
    wanted = _plain_number(text)
    if not any(map(str.isdigit, wanted)) or len(wanted) < MIN_NUMBER:
        return []
    is_it = (licences.c.number_digest == number_digest(connection, wanted), licences.c.ended_at.is_(None))
    query = select(trainees.c.id, trainees.c.name, trainees.c.email)
    query = query.where(trainees.c.id.in_(select(licences.c.trainee_id).where(*is_it)))
    return list(connection.execute(query.order_by(func.lower(trainees.c.name), trainees.c.id)))


def number_digest(connection: Connection, number: str) -> str:
    """The digest by which a licence number is found, keyed by a secret of this installation; blanks, dashes and case do
    not matter. The secret is made in a write transaction when it is needed first."""
    held = select(digest_keys.c.key).where(digest_keys.c.purpose == LICENCE)
    key = connection.scalar(held)
    if key is None:
        row = {"purpose": LICENCE, "key": secrets.token_urlsafe(32)}
        connection.execute(insert_ignoring(connection, digest_keys).values(row))
        key = connection.execute(held).scalar_one()
    return signing.digest(key, LICENCE, _plain_number(number))


def by_name(connection: Connection, size: int, part: int) -> Sequence[Row[Any]]:
    """Part `part` (from 1) of all people in the order of their names, `size` at a time."""
    order = func.lower(func.coalesce(trainees.c.name, trainees.c.email, "")), trainees.c.id
    return connection.execute(select(trainees).order_by(*order).limit(size).offset((part - 1) * size)).all()


def count(connection: Connection) -> int:
    """How many people there are."""
    return int(connection.execute(select(func.count()).select_from(trainees)).scalar_one())


def trainee(connection: Connection, trainee_id: int) -> Row[Any]:
    """The whole row. Raises NotFound "trainee_unknown"."""
    row = connection.execute(select(trainees).where(trainees.c.id == trainee_id)).first()
    if row is None:
        raise _unknown()
    return row


def language_of(connection: Connection, trainee_id: int) -> str | None:
    """The language that this person chose or, if none, the one that their platform says; None if neither is known."""
    return known_language(connection.scalar(select(LANGUAGE).where(trainees.c.id == trainee_id)))


def choose_language(connection: Connection, trainee_id: int, language: str) -> None:
    """Keep the language that a person chose."""
    connection.execute(update(trainees).where(trainees.c.id == trainee_id).values(language=language))


def refuse_own(connection: Connection, actor: str, trainee_id: int, opened_at: datetime | None = None) -> None:
    """No one decides about themselves, nor about a case that was opened before their own account first appeared
    (`opened_at`). Raises AccessDenied "own_case"."""
    _refuse_own(connection, actor, [trainee_id], opened_at)


def _refuse_own(
    connection: Connection, actor: str, trainee_ids: Collection[int], opened_at: datetime | None = None
) -> None:
    own = trainee_of(actor)
    if own is None:
        return
    if _may_be_one_person(connection, own, trainee_ids) or _appeared_after(connection, own, opened_at):
        raise AccessDenied(
            "own_case",
            "You cannot decide about your own record. An account that shares an e-mail address or licence number with "
            "the person, or that is newer than the case, cannot decide about it either.",
            "Ask another member of staff.",
        )


def refuse_alone(
    connection: Connection, actor: str, second: str | None, trainee_id: int, opened_at: datetime | None = None
) -> None:
    """Two different people, neither of them the trainee. An account that first appeared after the case was opened
    (`opened_at`) is no second person.

    Raises AccessDenied "second_person_needed" or "own_case".
    """
    refuse_alone_for_all(connection, actor, second, [trainee_id], opened_at)


def refuse_alone_for_all(
    connection: Connection,
    actor: str,
    second: str | None,
    trainee_ids: Collection[int],
    opened_at: datetime | None = None,
) -> None:
    """As `refuse_alone`, for an act on several trainees at once; as many statements as for one."""
    _refuse_own(connection, actor, trainee_ids)
    first, other = trainee_of(actor), trainee_of(second or "")
    is_second = second is not None and second != actor
    if is_second and other is not None:
        others = [*trainee_ids] if first is None else [*trainee_ids, first]
        is_second = not _may_be_one_person(connection, other, others)
        is_second = is_second and not _appeared_after(connection, other, opened_at)
    if not is_second:
        raise AccessDenied(
            "second_person_needed",
            "This needs a second person to confirm. An account with the same e-mail address or licence number, or one "
            "that is newer than this case, does not count as a second person.",
            "Ask another member of staff.",
        )


def _appeared_after(connection: Connection, trainee_id: int, at: datetime | None) -> bool:
    appeared_at = connection.scalar(select(trainees.c.created_at).where(trainees.c.id == trainee_id))
    return at is not None and appeared_at is not None and appeared_at > at


def refuse_too_many(connection: Connection, requests: Table, trainee_id: int, most: int, now: datetime) -> None:
    """A trainee sends at most so many requests of one kind within 24 hours; withdrawn ones count. `requests` has the
    columns trainee_id and created_at. Raises Conflict "requests_too_many" (429)."""
    lately = (requests.c.trainee_id == trainee_id) & (requests.c.created_at > now - timedelta(days=1))
    sent = connection.scalar(select(func.count()).select_from(requests).where(lately)) or 0
    if sent >= most:
        raise Conflict(
            "requests_too_many",
            f"You have sent {sent} requests of this kind within 24 hours. No more can be sent for now.",
            "Try again tomorrow.",
            status=429,
        )


def own_cases(connection: Connection, actor: str, trainee_ids: Collection[int]) -> set[int]:
    """Those of these trainees about whom this actor may not decide (`refuse_own`)."""
    own = trainee_of(actor)
    return set() if own is None else _may_be_one_person(connection, own, trainee_ids)


def _may_be_one_person(connection: Connection, one: int, others: Collection[int]) -> set[int]:
    """Those of the others who are one person with this one as far as anyone can know: one trainee, accounts that staff
    joined once, or an address that both had once, or a licence number."""
    accounts = _ever_kept_for(connection, {one, *others})
    everyone = sorted(set().union(*accounts.values()))
    signs: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for some in _portions(everyone):
        addresses = select(trainee_addresses.c.trainee_id, trainee_addresses.c.email)
        for row in connection.execute(addresses.where(trainee_addresses.c.trainee_id.in_(some))):
            signs[row.trainee_id].add(("email", row.email))
        numbers = select(licences.c.trainee_id, licences.c.number).where(licences.c.trainee_id.in_(some))
        for row in connection.execute(numbers):
            signs[row.trainee_id].add(("licence", _plain_number(row.number)))
    own = set().union(*(signs[each] for each in accounts[one]))

    def is_one(other: int) -> bool:
        theirs = accounts[other]
        return not theirs.isdisjoint(accounts[one]) or any(not own.isdisjoint(signs[each]) for each in theirs)

    return {each for each in others if is_one(each)}


def _plain_number(number: str) -> str:
    """A licence number as numbers are compared."""
    return "".join(filter(str.isalnum, number)).casefold()


def _ever_kept_for(connection: Connection, trainee_ids: Collection[int]) -> dict[int, set[int]]:
    """By trainee: this one and all who were ever kept for them in a join, one that has been undone included."""
    kept: dict[int, set[int]] = {}
    latest = set(trainee_ids)
    while latest:
        kept |= {each: set() for each in latest}
        for some in _portions(sorted(latest)):
            joins = select(person_joins.c.joined_id, person_joins.c.kept_id).where(person_joins.c.joined_id.in_(some))
            for row in connection.execute(joins):
                kept[row.joined_id].add(row.kept_id)
        latest = set().union(*(kept[each] for each in latest)) - set(kept)

    def chain(trainee_id: int) -> set[int]:
        found, more = {trainee_id}, set(kept[trainee_id])
        while more:
            found |= more
            more = set().union(*(kept[each] for each in more)) - found
        return found

    return {each: chain(each) for each in trainee_ids}


def _person(profile: Profile, now: datetime) -> dict[str, Any]:
    return {
        "name": profile.name,
        "email": profile.email,
        "platform_language": profile.platform_language,
        "created_at": now,
    }


def _record_addresses(connection: Connection, addresses: Mapping[int, str | None], now: datetime) -> None:
    """Record that these trainees have these addresses from now on; None changes nothing."""
    rows = [
        {"person": each, "new": email, "now": now} for each, email in sorted(addresses.items()) if email is not None
    ]
    if rows:
        connection.execute(_end_other_addresses, rows)
        connection.execute(_add_address, rows)


def _portions(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + IDS_IN_ONE_QUERY] for start in range(0, len(values), IDS_IN_ONE_QUERY))


def _unknown() -> NotFound:
    return NotFound(
        "trainee_unknown",
        "There is no such trainee.",
        "People are known from launches and rosters; check id or address.",
    )


_people = (
    select(identities.c.sub, trainees.c.id, trainees.c.name, trainees.c.email, trainees.c.platform_language)
    .join_from(identities, trainees)
    .where(identities.c.issuer == bindparam("issuer"), identities.c.sub.in_(bindparam("subs", expanding=True)))
)
_held_people = _people.order_by(identities.c.sub).with_for_update(read=True, of=identities)
_insert_people = insert(trainees).returning(trainees.c.id, sort_by_parameter_order=True)
_insert_addresses = insert(trainee_addresses)
_end_other_addresses = (
    update(trainee_addresses)
    .where(
        trainee_addresses.c.trainee_id == bindparam("person"),
        trainee_addresses.c.email != bindparam("new"),
        trainee_addresses.c.until_at.is_(None),
        # With several accounts the address of the other one stays.
        select(func.count()).where(identities.c.trainee_id == bindparam("person")).scalar_subquery() <= 1,
    )
    .values(until_at=bindparam("now"))
)
_add_address = insert(trainee_addresses).from_select(
    ["trainee_id", "email", "since_at"],
    select(
        bindparam("person", type_=trainee_addresses.c.trainee_id.type),
        bindparam("new", type_=trainee_addresses.c.email.type),
        bindparam("now", type_=trainee_addresses.c.since_at.type),
    ).where(
        ~select(trainee_addresses.c.id)
        .where(
            trainee_addresses.c.trainee_id == bindparam("person"),
            trainee_addresses.c.email == bindparam("new"),
            trainee_addresses.c.until_at.is_(None),
        )
        .exists()
    ),
)
_change_person = (
    update(trainees)
    .where(trainees.c.id == bindparam("person"))
    .values(
        name=func.coalesce(bindparam("name", type_=String), trainees.c.name),
        email=func.coalesce(bindparam("email", type_=String), trainees.c.email),
        platform_language=func.coalesce(bindparam("platform_language", type_=String), trainees.c.platform_language),
    )
)
