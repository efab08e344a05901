"""Random rules and facts over a few modules of the demonstration's programme."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from lti_tool.gates.facts import Facts
from tests.unit.gates.people_and_programmes import completed, demo, exception, facts, licence, request, roster_entry

MODULES = ("F1", "F3", "F4", "ST_MUS")
assert set(MODULES) <= set(demo().modules)

positive_conditions: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(MODULES).map(lambda module: {"completed": {"module": module}}),
    st.sampled_from(MODULES).map(lambda module: {"equivalency": {"for": module}}),
    st.integers(1, 3).map(lambda n: {"completed_any": {"list": list(MODULES), "n": n}}),
    st.just({"attended_retreat": {"retreat": "RT_EXP"}}),
    st.just({"retreat_equivalency": {"for": "RT_EXP"}}),
    st.sampled_from(["now", "offering_start", "2024-09-01"]).map(
        lambda at: {"licence_active": {"types": ["LMFT", "RN"], "at": at}}
    ),
    st.just({"health_clearance": {"offering": "F2", "steps": ["medical"]}}),
    st.just({"profession_in": {"set": ["nurse"]}}),
    st.just({"completed": {"module": "F99"}}),
)
negatable = st.one_of(
    st.sampled_from(MODULES).map(lambda module: {"completed": {"module": module}}),
    st.just({"attended_retreat": {"retreat": "RT_EXP"}}),
)


def _groups(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, min_size=1, max_size=3)
    return st.one_of(
        lists.map(lambda of: {"all": of}),
        lists.map(lambda of: {"any": of}),
        lists.flatmap(lambda of: st.integers(1, len(of)).map(lambda n: {"at_least": {"n": n, "of": of}})),
    )


positive_rules = st.recursive(positive_conditions, _groups, max_leaves=8)
rules = st.recursive(st.one_of(positive_conditions, negatable.map(lambda child: {"not": child})), _groups, max_leaves=8)

records = st.one_of(
    st.tuples(st.sampled_from(MODULES), st.integers(1, 99)).map(lambda each: completed(each[0], number=each[1])),
    st.tuples(st.sampled_from((*MODULES, "RT_EXP")), st.integers(1, 99)).map(
        lambda each: request(each[0], "approved", number=each[1])
    ),
    st.integers(1, 99).map(lambda number: licence(number=number)),
    st.integers(1, 99).map(lambda number: roster_entry("RT_EXP", "attended", number=number)),
)
_END = date(2024, 7, 20)
blemishes = st.one_of(
    st.tuples(
        st.sampled_from((*MODULES, "RT_EXP")),
        st.sampled_from(["draft", "submitted", "more_info", "declined", "withdrawn", "expired", "revoked"]),
        st.integers(100, 199),
    ).map(lambda each: request(each[0], each[1], number=each[2], expires_on=_END if each[1] == "expired" else None)),
    st.sampled_from(["inactive", "probation"]).map(lambda status: licence(number=100, status=status)),
    st.just(licence(number=101, type="chaplain")),
    st.just(roster_entry("RT_EXP", "no_show", number=100)),
    st.just(exception("F2")),
)
UNAVAILABLE = ("completions", "equivalencies", "licences", "retreats", "clearances", "profession", "exceptions")


@st.composite
def known_facts(draw: st.DrawFn, *, unavailable: bool = True) -> Facts:
    some = draw(st.lists(st.one_of(records, blemishes), max_size=6))
    missing = draw(st.frozensets(st.sampled_from(UNAVAILABLE), max_size=2)) if unavailable else frozenset()
    return facts(*some, unavailable=missing, profession=draw(st.sampled_from([None, "nurse", "chaplain"])))
