"""The page at /docs as a person uses it, in a real browser: register there, then ask for the own account.

    docs_page.py http://127.0.0.1:PORT
"""

import json
import sys

from chromium import Chromium


def ask(tab, operation, example=None):
    """Opens a route, fills its form from an example of its own, sends it, and gives the answer's first line."""
    tab.evaluate(f"document.getElementById({json.dumps(operation)}).open = true")
    form = f"document.getElementById({json.dumps(operation)}).querySelector('form')"
    tab.until(form)
    if example is not None:
        tab.evaluate(f"{form}.querySelector('textarea').value = {json.dumps(json.dumps(example))}")
    tab.evaluate(f"{form}.requestSubmit()")
    answer = f"document.getElementById({json.dumps(operation)}).querySelector('[role=status] p')?.textContent"
    return tab.until(answer)


def main(origin):
    with Chromium() as browser:
        tab = browser.open(f"{origin}/docs")
        tab.until("document.getElementById('routes').getAttribute('aria-busy') === 'false'")
        shown = tab.evaluate("document.querySelectorAll('details.route').length")
        there = tab.evaluate(
            "fetch('/openapi.json').then((answer) => answer.json())"
            ".then(({ paths }) => Object.values(paths).flatMap(Object.keys).length)"
        )
        assert shown == there > 0, f"{shown} routes are shown of {there}"

        operations = tab.evaluate(
            "Object.fromEntries([...document.querySelectorAll('details.route')].map((box) => ["
            "box.querySelector('.method').textContent + ' ' + box.querySelector('.path').textContent, box.id]))"
        )
        account = {"username": "ann", "email": "ann@example.org", "password": "correct horse"}
        registered = ask(tab, operations["POST /api/v1/auth/register"], account)
        assert registered.startswith("201 "), registered
        assert tab.evaluate("document.getElementById('token').value.length") > 100, "the token is kept"
        own = ask(tab, operations["GET /api/v1/users/me"])
        assert own.startswith("200 "), own

        tab.evaluate(
            "{ const find = document.getElementById('find'); find.value = 'users/me';"
            " find.dispatchEvent(new Event('input')); }"
        )
        left = tab.evaluate("document.querySelectorAll('details.route:not([hidden])').length")
        assert 0 < left < shown, f"{left} of {shown} are left by the search"
        assert tab.complaints() == [], tab.complaints()


if __name__ == "__main__":
    main(*sys.argv[1:])
