"""`python -m lti_tool` is the `gatehouse` command."""

from lti_tool.commands import main

main()
