"""The help page: contacts, questions and answers, and where to find things."""

from flask import Blueprint

from lti_tool.programme import versions
from lti_tool.web.page import show
from lti_tool.web.request import connection
from lti_tool.web.session import access

blueprint = Blueprint("help", __name__)


@blueprint.get("/help")
@access("trainee")
def contacts() -> str:
    """The contacts that have an address, and what the programme answers. Nothing is stored about a visit here."""
    programme = versions.current(connection()).programme
    printed = [each for each in programme.contacts.values() if each.address]
    return show("trainee/help.html", programme, contact=None, contacts=printed)
