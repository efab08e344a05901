"""A platform's grade services for tests, with the rules of one kind of platform as the facts tell them (openedx.md §5,
moodle.md §5, AGS 2.0), its own clock, teachers who enter grades by hand, and troubles to order.

It stands where the outbound door stands (`lti_tool.http.Http`), so everything of ours above the wire is genuine.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit

from lti_tool.errors import NoAnswer
from lti_tool.http import Reply

ORIGIN = "https://lms.example.org"
ITEM = "application/vnd.ims.lis.v2.lineitem+json"
ITEMS = "application/vnd.ims.lis.v2.lineitemcontainer+json"
RESULTS = "application/vnd.ims.lis.v2.resultcontainer+json"
SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/"
EVERY_SCOPE = [SCOPE + each for each in ("lineitem", "lineitem.readonly", "result.readonly", "score")]
DECLARATIVE_SCOPES = [SCOPE + each for each in ("lineitem.readonly", "result.readonly", "score")]
EXISTS = {"timestamp": ["Score already exists for the provided timestamp"]}
OLDER = {"timestamp": ["Score timestamp can only be updated to a later point in time"]}


@dataclass
class Grade:
    """What a gradebook shows: a share of its column's maximum, who put it there, and when it was changed."""

    share: float
    by: str
    changed_at: datetime
    comment: str = ""


@dataclass
class SimulatedPlatform:
    """`kind`: "openedx", "moodle", "canvas", "generic", or "silent", which takes older scores with 200 and ignores
    them."""

    kind: str
    now: datetime
    links: tuple = ("unit-1",)
    gradable: set = field(default_factory=set)  # empty: everybody
    items: dict = field(default_factory=dict)
    others: list = field(default_factory=list)  # what other tools have in the course's list, whatever is asked for
    grades: dict = field(default_factory=dict)  # (item url, user) → Grade: what people see
    kept: dict = field(default_factory=dict)  # (item url, user) → the last score taken from the tool
    trouble: list = field(default_factory=list)  # what happens to the next requests: "lost", "vanished", a status, None
    down_until: datetime | None = None
    garbled: str | None = None  # what results answer instead, with 200
    asked: list = field(default_factory=list)
    taken: list = field(default_factory=list)  # (item url, user, score, the grade it replaced)
    numbers: object = field(default_factory=count)
    on_take: object = None

    # What teachers and the course do.

    def add_item(self, link="unit-1", maximum=100.0, label="Unit", resource_id="", tag=""):
        number = next(self.numbers)
        query = "?type_id=1" if self.kind == "moodle" else ""
        url = f"{ORIGIN}/lineitems/{number}{query}"
        item = {"id": url, "label": label, "scoreMaximum": maximum, "resourceId": resource_id, "tag": tag}
        self.items[url] = item | ({"resourceLinkId": link} if link is not None else {})
        return url

    def enter(self, url, user, share, by="teacher"):
        """A teacher enters a grade by hand; None takes the grade away."""
        if share is None:
            self.grades.pop((url, user), None)
        else:
            self.grades[url, user] = Grade(share, by, self.now)

    def share(self, url, user):
        grade = self.grades.get((url, user))
        return None if grade is None else grade.share

    @property
    def line_items_url(self):
        return f"{ORIGIN}/lineitems" + ("?type_id=1" if self.kind == "moodle" else "")

    # The door.

    def request(self, method, url, *, headers=None, data=None, retry=False):
        parts = urlsplit(url)
        if parts.path == "/token":
            said = {"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": " ".join(EVERY_SCOPE)}
            return self._say(200, said)
        self.asked.append((method, url))
        trouble = self.trouble.pop(0) if self.trouble else None
        if self.down_until is not None and self.now < self.down_until:
            trouble = 500
        if trouble == "vanished":
            raise NoAnswer("no_answer", "Nothing came back.")
        if isinstance(trouble, int):
            return self._say(trouble, {})
        reply = self._serve(method, parts, headers or {}, data)
        if trouble == "lost":
            raise NoAnswer("no_answer", "Nothing came back.")
        return reply

    def _say(self, status, document=None):
        return Reply(status, {}, b"" if document is None else json.dumps(document).encode())

    def _serve(self, method, parts, headers, data):
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        steps = [unquote(each) for each in parts.path.strip("/").split("/")]
        if steps == ["lineitems"]:
            return self._list(query, headers) if method == "GET" else self._make(json.loads(data), headers)
        url = f"{ORIGIN}/{steps[0]}/{steps[1]}" + ("?type_id=1" if self.kind == "moodle" else "")
        if url not in self.items:
            return self._say(404, {"status": 404})
        if steps[2:] == []:
            return self._say(200, self.items[url]) if headers["Accept"] == ITEM else self._say(406)
        if steps[2] == "scores":
            return self._score(url, json.loads(data))
        return self._results(url, steps[3] if len(steps) > 3 else None, query)

    def _list(self, query, headers):
        if headers["Accept"] != ITEMS:
            return self._say(406)
        names = {"resource_link_id": "resourceLinkId", "resource_id": "resourceId", "tag": "tag"}
        wanted = {names[each]: value for each, value in query.items() if each in names}
        found = [item for item in self.items.values() if all(item.get(name) == wanted[name] for name in wanted)]
        return self._say(200, self.others + found)

    def _make(self, new, headers):
        if headers["Content-Type"] != ITEM:
            return self._say(415)
        if self.kind == "openedx" and not isinstance(new["scoreMaximum"], int):
            return self._say(400)
        link = new.get("resourceLinkId")
        if link is not None and link not in self.links:
            return self._say(400 if self.kind == "openedx" else 403)
        url = self.add_item(link, new["scoreMaximum"], new["label"], new["resourceId"], new["tag"])
        return self._say(201, self.items[url])

    def _score(self, url, score):
        user, at = score["userId"], datetime.fromisoformat(score["timestamp"])
        needed = {"userId", "timestamp", "activityProgress", "gradingProgress"}
        if not needed <= set(score) or ("scoreGiven" in score and not score.get("scoreMaximum", 0) > 0):
            return self._say(400, {"scoreMaximum": ["required"]})
        if self.gradable and user not in self.gradable:
            return self._say(400, []) if self.kind == "moodle" else self._say(500)
        refusal = self._too_old(url, user, at)
        if refusal is not None:
            return refusal
        self._keep(url, user, score, at)
        return self._say(201, score) if self.kind == "openedx" else self._say(200)

    def _too_old(self, url, user, at):
        if self.kind == "openedx":
            known = self.kept.get((url, user))
            if known is None or at > known[0]:
                return None
            return self._say(400, EXISTS if at == known[0] else OLDER)
        grade = self.grades.get((url, user))
        if grade is None:
            return None
        if self.kind == "moodle":
            return self._say(409, []) if int(at.timestamp()) <= int(grade.changed_at.timestamp()) else None
        if at > grade.changed_at:
            return None
        return self._say(200) if self.kind == "silent" else self._say(409, {})

    def _keep(self, url, user, score, at):
        self.kept[url, user] = (at, score)
        before = self.grades.get((url, user))
        self.taken.append((url, user, score, before))
        if self.on_take is not None:
            self.on_take(url, user, score, before)
        is_final = score["gradingProgress"] == "FullyGraded"
        given = score.get("scoreGiven")
        if self.kind == "openedx":
            if is_final and given is not None and self.items[url].get("resourceLinkId") in self.links:
                self.grades[url, user] = Grade(min(1, given / score["scoreMaximum"]), "tool", at, score["comment"])
        elif not is_final or given is None:
            self.grades.pop((url, user), None)
        else:
            self.grades[url, user] = Grade(given / score["scoreMaximum"], "tool", at, score["comment"])

    def _results(self, url, user, query):
        if self.garbled is not None:
            return Reply(200, {}, self.garbled.encode())
        found = self._openedx_results(url) if self.kind == "openedx" else self._gradebook(url)
        wanted = user if self.kind == "openedx" else query.get("user_id")
        return self._say(200, [each for each in found if wanted is None or each["userId"] == wanted])

    def _openedx_results(self, url):
        return [
            {"userId": user, "resultScore": score.get("scoreGiven"), "resultMaximum": score.get("scoreMaximum")}
            for (item, user), (_, score) in self.kept.items()
            if item == url
        ]

    def _gradebook(self, url):
        maximum = self.items[url]["scoreMaximum"]
        return [
            {"userId": user, "resultScore": round(grade.share * maximum, 5), "resultMaximum": maximum}
            for (item, user), grade in self.grades.items()
            if item == url
        ]
