"""The plain page in a real browser (Chromium): shows a login, logs in, searches, reads; no script error, nothing blocked."""

import contextlib
import json
import os
import subprocess
import time
import unittest

from case import Case
from stack import Stack, measured, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class Browser:
    """Chromium over the DevTools protocol on a pair of pipes (--remote-debugging-pipe: JSON messages, each ended by NUL)."""

    def __init__(self, folder, url):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def set_pipes():  # the protocol's pipes are descriptors 3 and 4
            source, sink = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(source, 3)
            os.dup2(sink, 4)
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
             "--no-first-run", "--disable-background-networking", "--lang=ja", f"--user-data-dir={folder}", "--remote-debugging-pipe",
             "--window-size=1200,900", "about:blank"],
            preexec_fn=set_pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.reader, self.writer = open(ours_in, "rb", 0), open(ours_out, "wb", 0)
        os.set_blocking(ours_in, False)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None
        page = next(row for row in self.call("Target.getTargets")["targetInfos"] if row["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": self.session} if self.session else {})
        self.writer.write(json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.buffer += self.reader.read(1 << 20) or b""
            while b"\0" in self.buffer:
                line, self.buffer = self.buffer.split(b"\0", 1)
                answer = json.loads(line)
                if answer.get("id") == self.number:
                    assert "error" not in answer, answer
                    return answer["result"]
                self.events.append(answer)
            time.sleep(0.01)
        raise AssertionError(f"no answer to {method}")

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def faults(self):
        """Script errors and what the page's policy blocked."""
        return [event["params"] for event in self.events
                if event.get("method") == "Runtime.exceptionThrown"
                or (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"
                    and event["params"]["entry"].get("source") in ("security", "javascript", "violation"))]

    def close(self):
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.close()
        self.writer.close()


class Page(Case):
    def test_login_search_and_read(self):
        article = stack.article(title="社内 Wi-Fi に接続できない", tags=["無線"],
                                body="# 手順\n\n認証方式は **EAP-TLS** です。\n\n<img src=x onerror=\"document.title='pwned'\">\n")
        stack.wait_indexed(article)
        browser = Browser(stack.dir / "chromium", stack.url + "/")
        self.addCleanup(browser.close)
        wait_for(lambda: browser.evaluate("document.querySelector('input[type=password]') !== null"), 15, "the login form")
        self.assertFalse(browser.evaluate("document.querySelector('#search').checkVisibility()"))
        picture = stack.dir / "login.png"
        import base64
        picture.write_bytes(base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"]))
        self.assertTrue(picture.read_bytes().startswith(b"\x89PNG"))
        self.assertGreater(picture.stat().st_size, 4000)
        browser.evaluate("document.querySelector('input[name=name]').value = 'admin';"
                         "document.querySelector('input[type=password]').value = 'not the password';"
                         "document.querySelector('form.login button').click()")
        wait_for(lambda: browser.evaluate("!!document.querySelector('[role=alert]')?.textContent"), 10, "the refusal")
        self.assertRegex(browser.evaluate("document.querySelector('[role=alert]').textContent"), "パスワード|password")
        self.assertEqual(browser.evaluate("document.querySelector('input[name=name]').value"), "admin")
        started = time.monotonic()
        browser.evaluate("document.querySelector('input[name=name]').value = 'admin';"
                         f"document.querySelector('input[type=password]').value = {json.dumps(stack.admin_password)};"
                         "document.querySelector('form.login button').click()")
        wait_for(lambda: "Wi-Fi" in browser.evaluate("document.body.innerText"), 10, "the list of articles")
        measured("login to list in the browser", f"{(time.monotonic() - started) * 1000:.0f} ms")
        browser.evaluate("location.hash = '#/?q=' + encodeURIComponent('EAP-TLS')")
        wait_for(lambda: browser.evaluate("document.querySelector('mark')?.textContent"), 10, "a marked hit")
        browser.evaluate(f"location.hash = '#/articles/{article['id']}'")
        wait_for(lambda: browser.evaluate("[...document.querySelectorAll('strong')].some(e => e.textContent === 'EAP-TLS')"), 10, "the rendered article")
        self.assertEqual(browser.evaluate("document.title"), "社内 Wi-Fi に接続できない - Mirai Knowledge")
        self.assertNotIn("null", browser.evaluate("document.body.innerText"))
        self.assertEqual(browser.evaluate("document.querySelectorAll('article img, main img').length"), 0)
        self.assertEqual(browser.evaluate("document.cookie"), "")  # scripts do not see the session
        self.assertEqual([fault for fault in browser.faults() if "401" not in str(fault)], [])
