"""The peers of the benchmarks are optional."""

import pytest

from benchmarks.peers.processes import why_without_node


def test_without_node_the_peers_on_it_are_skipped_and_the_table_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert why_without_node() == "skipped: there is no `node`"
