"""What speaks against letting a platform that registered itself launch: that it would speak for another one.

People are known by issuer and user id, so whoever holds the keys of one registration signs in as anybody of its issuer.
An access token goes to any host of its registration, so one that names another platform's hosts could have that
platform's tokens fetched and sent to itself.
"""

from collections.abc import Iterable, Iterator

from lti_tool.lti.new_registration import Registration


def doubts(registration: Registration, known: Iterable[Registration]) -> list[str]:
    """Why this registration would gain what belongs to one of those known; in words, none for most.

    What still waits for a decision counts for nothing; what was switched off counts, for its people are still known.
    """
    others = [each for each in known if each.id != registration.id and each.status != "pending"]
    return [*_about_issuer(registration, others), *_about_hosts(registration, others)]


def _about_issuer(registration: Registration, others: Iterable[Registration]) -> Iterator[str]:
    """Every registration of the issuer must have these very keys: one that was declined vouches for nobody."""
    elsewhere = [
        each for each in others if each.issuer == registration.issuer and each.key_set_url != registration.key_set_url
    ]
    if elsewhere:
        yield (
            f"The issuer {registration.issuer} is registered here already ({_named(elsewhere)}) with keys at another "
            f"address. Whoever holds the keys at {registration.key_set_url} could sign in as any of its people, "
            "teachers too."
        )


def _about_hosts(registration: Registration, others: Iterable[Registration]) -> Iterator[str]:
    owners = [each for each in others if each.issuer != registration.issuer and each.hosts & registration.hosts]
    if owners:
        shared = registration.hosts & frozenset().union(*(each.hosts for each in owners))
        yield (
            f"Addresses that it names belong to {_named(owners)}: {', '.join(sorted(shared))}. Whoever sent it could "
            "be given access tokens that are good there."
        )


def _named(platforms: Iterable[Registration]) -> str:
    return ", ".join(f"platform {each.id}" for each in platforms)
