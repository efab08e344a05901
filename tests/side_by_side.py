"""Which tests stay together when the run is dealt out to several processes (pytest-xdist)."""

from xdist.scheduler import LoadScopeScheduling

DATABASES = ("sqlite", "postgresql")
# The tests of these folders share one stage.
TOGETHER = ("tests/browser", "tests/certification")


class SideBySide(LoadScopeScheduling):
    """A group is a file of tests; of a story, which is told once on each kind of database, one telling."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The group that this test runs in, in order, in one process."""
    file, _, test = nodeid.partition("::")
    folder = file.rpartition("/")[0]
    if folder in TOGETHER:
        return folder
    telling = [each for each in DATABASES if folder == "tests/stories" and f"[{each}" in test]
    return " ".join([file, *telling])
