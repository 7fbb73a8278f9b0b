"""Logins with a one-time code, as an authenticator app (oathtool) makes it."""

import unittest
import urllib.parse

from case import Case
from stack import Stack
from totp import code_of

stack = None
ROUTE = "/api/v1/users/me/second-factor"


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class SecondFactor(Case):
    def log_in(self, name, **more):
        client = stack.client(None)
        self.addCleanup(client.close)
        return client.post("/api/v1/session", {"name": name, "password": f"the password of {name}", **more})

    def make_owner(self, name):
        """A user with a second factor; returns session, secret, recovery codes."""
        stack.make_user(name, "editor")
        session = stack.login(name, f"the password of {name}")
        self.addCleanup(session.close)
        made = self.expect(session.request("POST", ROUTE, {"password": f"the password of {name}"}, session.own), 201).json
        uri = urllib.parse.urlsplit(made["uri"])
        self.assertEqual((uri.scheme, uri.netloc), ("otpauth", "totp"))
        self.assertEqual(urllib.parse.unquote(uri.path), f"/Mirai Knowledge:{name}")
        self.assertEqual(urllib.parse.parse_qs(uri.query)["secret"], [made["secret"]])
        codes = self.expect(session.request("PUT", ROUTE, {"otp": code_of(made["secret"])}, session.own), 200).json["codes"]
        self.assertEqual(len(set(codes)), 10)
        return session, made["secret"], codes

    def test_from_the_app_to_the_login(self):
        session, secret, codes = self.make_owner("tanaka")
        self.expect(session.request("GET", "/api/v1/users/me", headers=session.own), 200)
        answer = self.log_in("tanaka")
        self.assertEqual((answer.status, answer.json["type"]), (401, "urn:mirai:problem:second-factor-required"))
        wrong = self.log_in("tanaka", otp="000000" if code_of(secret) != "000000" else "000001")
        self.assertEqual((wrong.status, wrong.json["type"]), (401, "urn:mirai:problem:unauthenticated"))
        later = code_of(secret, 30)  # the one of now has confirmed the secret: it is used up
        self.expect(self.log_in("tanaka", otp=later), 201)
        self.assertEqual(self.log_in("tanaka", otp=later).status, 401)
        self.expect(self.log_in("tanaka", otp=codes[0].lower()), 201)
        self.assertEqual(self.log_in("tanaka", otp=codes[0]).status, 401)
        end = {"password": "the password of tanaka", "otp": codes[1]}
        self.expect(session.request("DELETE", ROUTE, end, session.own), 204)
        self.expect(self.log_in("tanaka"), 201)

    def test_an_admin_helps_who_has_lost_it(self):
        session, _, _ = self.make_owner("suzuki")
        user = session.request("GET", "/api/v1/users/me", headers=session.own).json
        self.assertTrue(user["second_factor"])
        self.assertEqual(self.log_in("suzuki").status, 401)
        stack.ctl("user", "reset-second-factor", "suzuki")
        self.expect(self.log_in("suzuki"), 201)
        self.assertEqual(session.request("GET", "/api/v1/users/me", headers=session.own).status, 401)

    def test_secrets_are_in_no_log_and_not_in_the_database(self):
        _, secret, codes = self.make_owner("yamada")
        needles = [secret.encode(), *(code.encode() for code in codes)]
        for path in stack.dir.rglob("*"):
            if path.is_file() and path.suffix not in (".sock", ".stamps"):
                data = path.read_bytes()
                self.assertFalse([needle for needle in needles if needle in data], path)
