"""Headless Chromium, driven over its DevTools protocol.

Waiting is done inside the page: a promise that ends when what is waited for is there. So nothing here
sleeps, and what does not come is an error that says what was waited for.
"""

import json
import pathlib
import shutil
import subprocess
import tempfile

from websockets.sync.client import connect

# How long anything in a page may take on a slow machine.
PATIENCE_SECONDS = 60


class Chromium:
    """A browser with a profile of its own, which goes with it."""

    def __enter__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise SystemExit("this test needs chromium: scripts/test installs it")
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                # Tests may run as root in a container, where its sandbox can't start.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--remote-debugging-port=0",
                f"--user-data-dir={self.profile.name}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # It says where it listens, among other things.
        for line in self.process.stderr:
            if line.startswith("DevTools listening on "):
                self.devtools = Session(line.split(" on ", 1)[1].strip())
                # What else it says is of no interest, but must go somewhere.
                self.rest = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
                return self
        raise SystemExit(f"chromium ended with {self.process.wait()} before it listened")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.rest.wait()
        self.profile.cleanup()

    def open(self, url):
        """A tab of its own, when the page and its scripts have been loaded."""
        target = self.devtools.call("Target.createTarget", url="about:blank")["targetId"]
        tab = Tab(self.devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"], self.devtools)
        tab.call("Page.enable")
        tab.call("Runtime.enable")
        tab.call("Log.enable")
        tab.go(url)
        return tab


class Session:
    """One socket for the browser and all its tabs."""

    def __init__(self, url):
        self.socket = connect(url, max_size=None, open_timeout=PATIENCE_SECONDS)
        self.number = 0
        self.events = []

    def call(self, method, session=None, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if session:
            request["sessionId"] = session
        self.socket.send(json.dumps(request))
        while True:
            message = json.loads(self.socket.recv(timeout=2 * PATIENCE_SECONDS))
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def event(self, method, session):
        """The next event of this name, one that has come already or one that comes."""
        while True:
            for place, event in enumerate(self.events):
                if event.get("method") == method and event.get("sessionId") == session:
                    return self.events.pop(place)["params"]
            self.events.append(json.loads(self.socket.recv(timeout=PATIENCE_SECONDS)))


class Tab:
    """A page in the browser."""

    def __init__(self, session, devtools):
        self.session = session
        self.devtools = devtools

    def call(self, method, **params):
        return self.devtools.call(method, self.session, **params)

    def go(self, url):
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise RuntimeError(f"{url}: {answer['errorText']}")
        self.devtools.event("Page.loadEventFired", self.session)

    def reload(self):
        self.call("Page.reload")
        self.devtools.event("Page.loadEventFired", self.session)

    def evaluate(self, script):
        """The value of an expression in the page; of a promise, what it comes to."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def until(self, what):
        """Waits until an expression in the page is true, and gives its value."""
        return self.evaluate(
            f"""new Promise((found, missed) => {{
                const look = () => {{ const seen = ({what}); if (seen) {{ watch.disconnect(); found(seen); }} return seen; }};
                const watch = new MutationObserver(look);
                watch.observe(document, {{ subtree: true, childList: true, characterData: true, attributes: true }});
                if (!look()) setTimeout(() => look() || missed(new Error(
                    {json.dumps(what)} + " did not come; the page says: " + document.body.innerText.slice(0, 2000))),
                    {PATIENCE_SECONDS * 1000});
            }})"""
        )

    def complaints(self):
        """What the page's console has complained about: errors, refused scripts, missing files."""
        said = []
        for event in self.devtools.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                entry = event["params"]["entry"]
                said.append(f"{entry['text']} {entry.get('url', '')}")
            if event["method"] == "Runtime.exceptionThrown":
                said.append(event["params"]["exceptionDetails"]["text"])
        return said
