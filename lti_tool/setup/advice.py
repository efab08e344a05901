"""Where to mend what the set-up doctor finds, in the words of each platform's own screens. PURE."""

from collections.abc import Mapping

STUDIO = "In Studio, edit the unit: "
MOODLE_SITE = "In Site administration, Plugins, Activity modules, External tool, edit the tool: "

# Finding → what to do on any platform.
ANYWHERE: Mapping[str, str] = {
    "client_replaced": "Register the new client id if it is not yet, and disable the old registration.",
    "module_missing": "Add the custom parameter module_id (such as module_id=F1), or choose its module under Courses.",
    "keys_unreadable": "Check the key set address in the platform's settings, and that the platform can reach it.",
    "token_refused": "Compare client id and key set address on both sides, and the clocks of both machines.",
    "service_foreign": "If that host is the platform's, name it: `gatehouse platform change --service-origin`.",
    "grades_off": "Allow the tool the Assignment and Grade Services in the platform's settings.",
    "line_item_missing": "Make the unit graded, or allow the tool to manage line items.",
    "line_item_gone": "Make the unit graded again if it is not, then press Look again on the desk's page Scores.",
    "grades_refused": "Allow the tool the Assignment and Grade Services in this course, with line items.",
    "line_item_unbound": "Make the unit graded itself, then open it once.",
    "grade_shared": "Give each module a unit of its own where its grade matters.",
    "past_due": "Move the due date behind the session, or allow grades past due.",
    "roster_off": "Allow the tool Names and Role Provisioning Services.",
    "roster_too_large": "Nothing to do here; whoever runs the platform may raise its limit.",
    "roster_refused": "Allow the tool Names and Role Provisioning Services in this course.",
    "roster_unreadable": "The desk's page Rosters says more. Tell whoever runs the platform.",
    "email_not_shared": "Let the platform share e-mail addresses with this tool.",
    "name_not_shared": "Let the platform share names with this tool.",
}

# What one platform calls it.
ON_PLATFORM: Mapping[str, Mapping[str, str]] = {
    "openedx": {
        "client_replaced": "Give all units of the course one shared passport, then register that client id once.",
        "module_missing": f'{STUDIO}Custom Parameters: ["module_id=F1"]. Or choose its module under Courses.',
        "keys_unreadable": f"{STUDIO}Tool Public Key Mode: Keyset URL, and Tool Keyset URL is this tool's.",
        "grades_off": f"{STUDIO}Assignment and Grades: Declarative.",
        "line_item_missing": f"{STUDIO}This activity is graded: True. Then open the unit once as a learner.",
        "line_item_unbound": f"{STUDIO}Assignment and Grades: Declarative; the column is then made for this unit.",
        "past_due": f"{STUDIO}Accept grades after due date: True. Or move the due date behind the session.",
        "roster_off": f"{STUDIO}Names & Roles (NRPS): True.",
        "roster_refused": f"{STUDIO}Names & Roles (NRPS): True.",
        "email_not_shared": f"{STUDIO}Share Email: True. The course must be allowed to share it "
        "(ask whoever runs the platform). Each learner then agrees once.",
        "name_not_shared": f"{STUDIO}Share Full name: True. The course must be allowed to share it.",
    },
    "moodle": {
        "module_missing": "In the activity's settings: Custom parameters: module_id=F1. Or choose its module under "
        "Courses.",
        "keys_unreadable": f"{MOODLE_SITE}Public key type is Keyset URL. Moodle reads it itself, from public addresses "
        "and ports 80 and 443 only.",
        "grades_off": f"{MOODLE_SITE}IMS LTI Assignment and Grade Services: Use this service for grade sync.",
        "line_item_missing": "In the activity's settings: Allow the tool to add grades.",
        "roster_off": f"{MOODLE_SITE}IMS LTI Names and Role Provisioning: Use this service.",
        "roster_refused": f"{MOODLE_SITE}IMS LTI Names and Role Provisioning: Use this service.",
        "email_not_shared": f"{MOODLE_SITE}Privacy: Share launcher's email with tool: Always.",
        "name_not_shared": f"{MOODLE_SITE}Privacy: Share launcher's name with tool: Always.",
    },
    "canvas": {
        "module_missing": "Add the unit again through Assignments, External Tool, or set the custom field module_id.",
        "grades_off": "In the Developer Key: allow the tool to create, view and submit grades, then use it as an "
        "assignment of the type External Tool.",
        "roster_off": "In the Developer Key: can retrieve user data associated with the context.",
        "email_not_shared": "In the Developer Key, Additional settings: Privacy level is Public.",
        "name_not_shared": "In the Developer Key, Additional settings: Privacy level is Public.",
    },
}

# What no launch and no service tells: staff look themselves.
BY_HAND: Mapping[str, tuple[str, ...]] = {
    "openedx": (
        "This activity is graded: True. Open edX answers a score in the same way whether the unit is graded or "
        "not, but shows it only if it is.",
        "Accept grades after due date: True, if the unit or its section has a due date.",
        "Registered Redirect URIs holds exactly one address: this tool's launch address.",
    ),
    "moodle": ("The activity is not hidden from the learners: a hidden one takes scores that nobody sees.",),
    "canvas": ("The assignment is published, and its grade is posted (not hidden) when learners should see it.",),
    "generic": ("The unit is visible to learners, and its grade counts where it should.",),
}


def advice(profile: str, code: str) -> str:
    """What to do about a finding on this kind of platform."""
    return ON_PLATFORM.get(profile, {}).get(code) or ANYWHERE[code]
