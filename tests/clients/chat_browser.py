"""Two people in two tabs of a real browser: they chat, one reloads, and what was said is still there.

    chat_browser.py

It says on its first line from which origin the page comes, then reads one line from standard input:
`{"server": "HOST:PORT", "ann": TOKEN, "bob": TOKEN}`.
"""

import functools
import http.server
import json
import pathlib
import sys
import threading
import urllib.parse

from chromium import Chromium

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def say(tab, text):
    tab.evaluate(f"document.getElementById('content').value = {json.dumps(text)}")
    tab.evaluate("document.getElementById('say').requestSubmit()")


def line(text):
    return f"[...document.querySelectorAll('#messages li')].some((line) => line.textContent === {json.dumps(text)})"


def online(count):
    return f"document.getElementById('online').textContent === '{count}'"


def chat(origin, server, ann, bob):
    def page(token):
        return f"{origin}/chat.html#" + urllib.parse.urlencode({"server": server, "room": "general", "token": token})

    with Chromium() as browser:
        left = browser.open(page(ann))
        left.until(online(1))
        right = browser.open(page(bob))
        left.until(online(2))
        right.until(online(2))

        say(left, "hello from the left")
        for tab in (left, right):
            tab.until(line("ann: hello from the left"))
        markup = "<b onclick=alert(1)>bold</b> & naïve 漫画"
        say(right, markup)
        for tab in (left, right):
            tab.until(line(f"bob: {markup}"))
        assert left.evaluate("document.querySelectorAll('#messages b').length") == 0, "text became markup"

        right.reload()
        for text in ("ann: hello from the left", f"bob: {markup}"):
            right.until(line(text))
        shown = right.evaluate("[...document.querySelectorAll('#messages li.chat')].map((line) => line.textContent)")
        assert shown == ["ann: hello from the left", f"bob: {markup}"], shown
        right.until(online(2))
        for tab in (left, right):
            assert tab.complaints() == [], tab.complaints()


def main():
    handler = functools.partial(Quiet, directory=EXAMPLES)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{pages.server_port}"
        print(origin, flush=True)
        chat(origin, **json.loads(sys.stdin.readline()))


if __name__ == "__main__":
    main()
