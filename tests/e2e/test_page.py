"""The plain page in a real browser (Chromium): shows a login, logs in, searches, reads; no script error, nothing blocked."""

import base64
import contextlib
import hmac
import json
import os
import re
import struct
import subprocess
import time
import unittest

from case import Case
from stack import Stack, measured, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


def totp(secret):
    """The code of an authenticator app now (RFC 6238: SHA-1, 30 s, 6 digits)."""
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", int(time.time()) // 30), "sha1").digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


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
    def open(self):
        browser = Browser(stack.dir / f"chromium-{self._testMethodName}", stack.url + "/")
        self.addCleanup(browser.close)
        wait_for(lambda: browser.evaluate("document.querySelector('input[type=password]') !== null"), 15, "the login form")
        return browser

    def fill(self, browser, **fields):
        """Type into the login form, send it."""
        for name, value in fields.items():
            browser.evaluate(f"document.querySelector('form.login input[name={name}]').value = {json.dumps(value)}")
        browser.evaluate("document.querySelector('form.login button').click()")

    def alert(self, browser, pattern):
        wait_for(lambda: re.search(pattern, browser.evaluate("document.querySelector('[role=alert]')?.textContent ?? ''")), 10,
                 lambda: f"{pattern}: {browser.evaluate('document.body.innerText')}")

    def picture(self, browser, name):
        """A screenshot, which is not empty; kept with MIRAI_TEST_KEEP."""
        picture = stack.dir / f"{name}.png"
        picture.write_bytes(base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"]))
        self.assertTrue(picture.read_bytes().startswith(b"\x89PNG"))
        self.assertGreater(picture.stat().st_size, 4000)

    def test_the_page_asks_for_a_code_and_for_a_new_password(self):
        user, _ = stack.make_user("careful", "viewer")
        person = stack.login("careful", "the password of careful")
        made = self.expect(person.request("POST", "/api/v1/users/me/second-factor", {"password": "the password of careful"}, person.own), 201)
        codes = self.expect(person.request("PUT", "/api/v1/users/me/second-factor", {"otp": totp(made.json["secret"])}, person.own), 200).json["codes"]
        self.expect(stack.client().patch(f"/api/v1/users/{user}", {"must_change_password": True}), 200)
        browser = self.open()
        self.fill(browser, name="careful", password="the password of careful")
        self.alert(browser, "コード|code")
        self.picture(browser, "second-factor")
        self.fill(browser, otp="000000")
        self.alert(browser, "正しくありません|wrong")
        self.fill(browser, otp=codes[0])
        self.alert(browser, "新しいパスワード|new password")
        self.picture(browser, "new-password")
        self.fill(browser, otp=codes[1], new_password="quite another 秘密 phrase", repeat="something else")
        self.alert(browser, "一致しません|differ")
        self.fill(browser, otp=codes[1], new_password="quite another 秘密 phrase", repeat="quite another 秘密 phrase")
        wait_for(lambda: browser.evaluate("document.querySelector('#who').textContent") == "careful", 10,
                 lambda: f"the login: {browser.evaluate('document.body.innerText')}")
        self.assertEqual(browser.evaluate("document.cookie"), "")
        self.assertEqual([fault for fault in browser.faults() if not re.search("401|403", str(fault))], [])

    def test_one_s_sessions_are_shown_and_ended(self):
        stack.make_user("roaming", "viewer")
        elsewhere = [stack.login("roaming", "the password of roaming") for _ in range(2)]
        read = lambda: sorted(other.request("GET", "/api/v1/session", headers={"Cookie": other.cookie}).status for other in elsewhere)
        browser = self.open()
        self.fill(browser, name="roaming", password="the password of roaming")
        wait_for(lambda: browser.evaluate("document.querySelector('#who').textContent") == "roaming", 10, "the login")
        browser.evaluate("document.querySelector('#who').click()")
        wait_for(lambda: browser.evaluate("document.querySelectorAll('.sessions li').length") == 3, 10, "three sessions")
        self.picture(browser, "sessions")
        self.assertEqual(read(), [200, 200])
        browser.evaluate("document.querySelector('.sessions button').click()")
        wait_for(lambda: browser.evaluate("document.querySelectorAll('.sessions li').length") == 2, 10, "two sessions")
        self.assertEqual(read(), [200, 401])
        browser.evaluate("document.querySelector('button.more').click()")
        wait_for(lambda: browser.evaluate("document.querySelectorAll('.sessions li').length") == 1, 10, "one session")
        self.assertEqual(read(), [401, 401])
        browser.evaluate("localStorage.setItem('language', 'en'); document.querySelector('#logout').click()")
        wait_for(lambda: browser.evaluate("document.querySelector('input[type=password]') !== null"), 10, "the login form")
        self.assertEqual(browser.evaluate("localStorage.getItem('language')"), "en")  # the site's storage was cleared but for this
        self.assertEqual(browser.faults(), [])

    def test_login_search_and_read(self):
        article = stack.article(title="社内 Wi-Fi に接続できない", tags=["無線"],
                                body="# 手順\n\n認証方式は **EAP-TLS** です。\n\n<img src=x onerror=\"document.title='pwned'\">\n")
        stack.wait_indexed(article)
        browser = Browser(stack.dir / "chromium", stack.url + "/")
        self.addCleanup(browser.close)
        wait_for(lambda: browser.evaluate("document.querySelector('input[type=password]') !== null"), 15, "the login form")
        self.assertFalse(browser.evaluate("document.querySelector('#search').checkVisibility()"))
        picture = stack.dir / "login.png"
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
