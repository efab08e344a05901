"""The help page: whom to write to for what."""

from flask import Blueprint

from lti_tool.programme import versions
from lti_tool.programme.model import Contact, Programme
from lti_tool.web.page import show
from lti_tool.web.request import connection
from lti_tool.web.session import access

blueprint = Blueprint("help", __name__)


@blueprint.get("/help")
@access("trainee")
def contacts() -> str:
    """The addresses of the programme. Nothing is stored about a visit here."""
    programme = versions.current(connection()).programme
    return show("trainee/help.html", programme, contact=None, contacts=_contacts(programme))


def _contacts(programme: Programme) -> list[tuple[Contact, str]]:
    """Each contact that is printed, with the address of its link: an e-mail or a page."""
    every = [each for each in programme.contacts.values() if each.address]
    return [(each, f"mailto:{each.address}" if "@" in each.address else _web_address(each.address)) for each in every]


def _web_address(printed: str) -> str:
    return printed if printed.startswith("https://") else f"https://{printed}"
