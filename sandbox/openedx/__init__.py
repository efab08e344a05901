"""A small Open edX to learn in: the genuine LTI consumer on stand-ins for the rest of edx-platform.

Everything that speaks LTI here is `lti-consumer-xblock`, installed from the package index and not patched: the
student view, login, id_token, key set, token, line items, scores, results, roster and deep linking.
Ours are only the parts of edx-platform the package leans on (`stand_ins` lists them), the pages around a unit,
and the JSON under `/sandbox/` for scripts.

Run it from the repository's root, with the packages of `requirements/sandbox.txt` and nothing of the tool's:

    python -m sandbox.openedx --port 8081 --public-url http://localhost:8081 \
        --tool-url http://127.0.0.1:8080 --data DIR

It trusts whoever reaches it (anybody may sign in as anybody). Keep it on a loopback address.
"""
