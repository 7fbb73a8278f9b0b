"""Logins with a directory: OpenLDAP and Active Directory (Samba) as they are, and servers that misbehave."""

import concurrent.futures
import contextlib
import subprocess
import time
import unittest

import badserver
import samba
import slapd
from authority import Authority
from badserver import BadServer, BlackHole
from case import Case
from redis_server import Redis
from slapd import BASE, Slapd
from stack import BIN, Stack, free_port, measured, wait_for
from totp import code_of

SESSION = "/api/v1/session"
FACTOR = "/api/v1/users/me/second-factor"
FAILURE_MS = 250


class DirectoryCase(Case):
    def login(self, stack, name, password, status=201, **more):
        """The answer to a login, which has this status."""
        return self.expect(stack.client(None).post(SESSION, {"name": name, "password": password} | more), status)

    def refused(self, stack, name, password):
        """A login that is refused and tells no reason."""
        problem = self.expect_problem(self.login(stack, name, password, 401), 401, "unauthenticated")
        self.assertEqual(set(problem), {"type", "title", "status", "instance"}, problem)

    def session(self, stack, name, password):
        """A client that is logged in: its requests need `own`."""
        return stack.login(name, password)

    def reads(self, client, status=200):
        return client.request("GET", "/api/v1/users/me", headers=client.own).status == status


@contextlib.contextmanager
def gateway_of(directory, servers=None, **settings):
    """An installation that uses this slapd."""
    with Stack(**directory.settings(directory.dir / "reader-password", servers, **settings)) as stack:
        yield stack


def setUpModule():
    if not slapd.is_installed():
        raise unittest.SkipTest("slapd is not installed")


# ---------------------------------------------------------------- OpenLDAP

class TestOpenLdap(DirectoryCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enter(Slapd())
        directory = cls.directory
        ana = directory.add_person("ana", name="Ana 花子 😀", mail="ana@kb.test")
        ben = directory.add_person("ben")
        vic = directory.add_person("vic")
        directory.add_person("nora")
        both = directory.add_person("both")
        directory.add_person("田中", name="田中 太郎")
        directory.add_person("(weird*)\\name", dn=f"cn=weird\\, name \\+ more,ou=people,{BASE}")
        locked = directory.add_person("locked")
        # Nested three deep, with a circle.
        directory.add_group("operators", ana)
        directory.add_group("infra", directory.group_dn("operators"))
        directory.add_group("kb-admins", directory.group_dn("infra"))
        directory.add_member("operators", directory.group_dn("kb-admins"))
        directory.add_group("kb-editors", ben, both)
        directory.add_group("kb-viewers", vic, both, locked, directory.dn("田中"),
                            f"cn=weird\\, name \\+ more,ou=people,{BASE}")
        directory.add_group("others", directory.dn("nora"))
        directory.lock(locked)
        cls.stack = cls.enter(gateway_of(directory))

    @classmethod
    def enter(cls, manager):
        value = manager.__enter__()
        cls.addClassCleanup(manager.__exit__, None, None, None)
        return value

    def test_all_forms_of_a_name(self):
        for name in ("ana", "ANA", "ana@kb.test", "ana@KB.TEST", "KB\\ana", "kb\\Ana", "kb.test\\ana"):
            with self.subTest(name=name):
                user = self.login(self.stack, name, "the password of ana").json["user"]
                self.assertEqual((user["name"], user["source"]), ("ana", "directory"))

    def test_account_follows_the_directory(self):
        user = self.login(self.stack, "ana", "the password of ana").json["user"]
        self.assertEqual(user["display_name"], "Ana 花子 😀")
        self.assertEqual(user["email"], "ana@kb.test")
        self.assertEqual(user["directory_name"], slapd.Slapd.dn("ana"))

    def test_groups_give_roles(self):
        for name, role in (("ana", "admin"), ("ben", "editor"), ("vic", "viewer"), ("both", "editor")):
            with self.subTest(name=name):
                user = self.login(self.stack, name, f"the password of {name}").json["user"]
                self.assertEqual(user["role"], role)

    def test_group_here_follows_one_there(self):
        group = self.expect(self.stack.client().post("/api/v1/groups", {
            "name": "operators here", "directory": slapd.Slapd.group_dn("operators").upper()}), 201).json
        self.assertIn(group["id"], self.login(self.stack, "ana", "the password of ana").json["user"]["groups"])
        self.assertNotIn(group["id"], self.login(self.stack, "ben", "the password of ben").json["user"].get("groups", []))

    def test_a_session_works(self):
        client = self.session(self.stack, "ben", "the password of ben")
        self.assertTrue(self.reads(client))
        self.expect(client.request("GET", "/api/v1/users", headers=client.own), 403)

    def test_refusals_tell_nothing(self):
        for name, password in (
                ("ana", "wrong"), ("ana", "the password of ben"), ("nobody", "the password of ana"),
                ("nora", "the password of nora"),  # no group gives a role
                ("locked", "the password of locked"),
                ("ana@other.test", "the password of ana"), ("OTHER\\ana", "the password of ana"),
                ("\\ana", "the password of ana"), ("@kb.test", "the password of ana"), ("KB\\", "x"), ("KB\\*", "x")):
            with self.subTest(name=name):
                self.refused(self.stack, name, password)

    def test_empty_passwords_are_refused_before_any_bind(self):
        for name in ("ana", "KB\\ana", "nobody"):
            self.expect_problem(self.login(self.stack, name, "", 422), 422)

    def test_names_are_not_filters(self):
        for name in ("*", "a*", "*)(uid=*", "*)(|(uid=*", "ana)(objectClass=*", "ana\u0000", "an\\61", "ana\\2a", "(&)",
                     "ana,ou=people", "uid=ana", slapd.Slapd.dn("ana"), "ａｎａ\u0301", "ana\n", "=cmd", "%s%s%n"):
            with self.subTest(name=name):
                answer = self.login(self.stack, name, "the password of ana", (401, 422))
                self.assertNotIn("Set-Cookie", answer.headers)

    def test_odd_but_right_names(self):
        self.assertEqual(self.login(self.stack, "田中", "the password of 田中").json["user"]["display_name"], "田中 太郎")
        self.refused(self.stack, "田中", "the password of ana")
        user = self.login(self.stack, "(weird*)\\name", "the password of (weird*)\\name").json["user"]
        self.assertEqual(user["name"], "(weird*)\\name")
        self.refused(self.stack, "(weirder)\\name", "the password of (weird*)\\name")

    def test_long_names_and_passwords(self):
        self.refused(self.stack, "鯖" * 100, "x")
        self.expect_problem(self.login(self.stack, "x" * 101, "x", 422), 422)
        self.refused(self.stack, "ana", "🔑" * 1024)
        self.refused(self.stack, "ana", "\\2a*()" * 100)

    def test_local_and_directory_accounts_stay_apart(self):
        directory, stack = self.directory, self.stack
        stack.make_user("twin", "editor")
        directory.add_person("twin", "the directory's twin")
        directory.add_member("kb-admins", directory.dn("twin"))
        self.assertEqual(self.login(stack, "twin", "the password of twin").json["user"]["source"], "local")
        for name in ("twin", "KB\\twin", "twin@kb.test", "TWIN"):
            self.refused(stack, name, "the directory's twin")
        # The other way round: the name of an account of the directory is taken.
        self.login(stack, "vic", "the password of vic")
        self.expect_problem(stack.client().post("/api/v1/users", {
            "name": "VIC", "role": "admin", "password": "a local password"}), 409)
        self.refused(stack, "vic", "a local password")
        self.assertEqual(self.login(stack, "admin", stack.admin_password).json["user"]["source"], "local")

    def test_a_second_factor_of_its_accounts(self):
        """The directory checks the password in force: the account's own, under its own DN."""
        directory, stack = self.directory, self.stack
        for name in ("mfa", "mfa2"):
            directory.add_member("kb-viewers", directory.add_person(name))
        own = self.session(stack, "mfa", "the password of mfa")
        ask = lambda method, body, status: self.expect(own.request(method, FACTOR, body, own.own), status)
        for wrong in ("wrong", "the password of mfa2", " the password of mfa"):
            self.expect_problem(ask("POST", {"password": wrong}, 403), 403, "forbidden")
        self.expect_problem(ask("POST", {"password": ""}, 422), 422)
        self.expect_problem(ask("POST", {}, 422), 422)
        self.expect_problem(ask("POST", {"password": "wrong", "checked": True}, 422), 422)
        secret = ask("POST", {"password": "the password of mfa"}, 201).json["secret"]
        codes = ask("PUT", {"otp": code_of(secret)}, 200).json["codes"]
        problem = self.login(stack, "mfa", "the password of mfa", 401).json
        self.assertEqual(problem["type"], "urn:mirai:problem:second-factor-required")
        self.login(stack, "mfa", "the password of mfa", otp=codes[0])
        ask("DELETE", {"password": "the password of mfa2", "otp": codes[1]}, 403)
        ask("DELETE", {"password": "the password of mfa", "otp": codes[0]}, 403)
        directory.stop()
        try:
            self.expect_problem(ask("DELETE", {"password": "the password of mfa", "otp": codes[1]}, 503), 503)
        finally:
            directory.start()
        wait_for(lambda: own.request("DELETE", FACTOR, {"password": "the password of mfa", "otp": codes[1]}, own.own).status == 204,
                 60, "the end of the second factor after the restart")
        self.login(stack, "mfa", "the password of mfa")
        # A local account's password is the store's matter, with a directory as without.
        stack.make_user("local", "viewer")
        own = self.session(stack, "local", "the password of local")
        ask("POST", {"password": "wrong"}, 403)
        ask("POST", {"password": "the password of local"}, 201)

    def test_whoever_has_the_name_now_is_not_the_account(self):
        """Another entry with the same name, at another place: its password does not speak for the account."""
        directory, stack = self.directory, self.stack
        first = directory.add_person("moved")
        directory.add_member("kb-viewers", first)
        own = self.session(stack, "moved", "the password of moved")
        directory.delete(first)
        directory.modify(f"dn: ou=elsewhere,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: elsewhere\n")
        directory.add_person("moved", "another's password", dn=f"uid=moved,ou=elsewhere,{BASE}")
        for password in ("another's password", "the password of moved"):
            self.expect(own.request("POST", FACTOR, {"password": password}, own.own), 403)

    def test_a_second_factor_whose_owner_leaves_early(self):
        directory, stack = self.directory, self.stack
        directory.add_member("kb-viewers", directory.add_person("hasty"))
        own = self.session(stack, "hasty", "the password of hasty")
        for turn in range(20):
            client = stack.client(None, timeout=0.001 * (1 + turn))
            with contextlib.suppress(OSError):
                client.request("POST", FACTOR, {"password": "wrong"}, own.own)
            client.close()
        self.expect(own.request("POST", FACTOR, {"password": "the password of hasty"}, own.own), 201)

    def test_failures_take_as_long_whatever_their_reason(self):
        for name, password in (("ana", "wrong"), ("nobody", "wrong"), ("KB\\nobody", "wrong"), ("admin", "wrong"),
                               ("OTHER\\x", "wrong"), ("locked", "the password of locked")):
            begun = time.monotonic()
            self.login(self.stack, name, password, 401)
            self.assertGreaterEqual(time.monotonic() - begun, FAILURE_MS / 1000 - 0.002, name)

    def test_a_client_that_leaves_early(self):
        for _ in range(20):
            client = self.stack.client(None, timeout=0.02)
            with contextlib.suppress(OSError):
                client.post(SESSION, {"name": "ana", "password": "wrong"})
            client.close()
        self.login(self.stack, "ana", "the password of ana")

    def test_many_at_once(self):
        people = [("ana", 201), ("ben", 201), ("nobody", 401), ("vic", 201), ("locked", 401)] * 12
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda one: self.login(self.stack, one[0], f"the password of {one[0]}", one[1]), people))
        for (name, status), answer in zip(people, answers):
            if status == 201:
                self.assertEqual(answer.json["user"]["name"], name)

    def test_the_audit_log_knows_the_reason(self):
        reasons = {"ana": ("wrong", "bad-password"), "no-one-here": ("x", "unknown-user"),
                   "nora": ("the password of nora", "no-role")}
        for name, (password, _) in reasons.items():
            self.refused(self.stack, name, password)

        def noted():
            rows = {(row.get("name"), row["result"]): row for row in self.stack.client().pages("/api/v1/audit")
                    if row["action"] == "auth.login"}
            return all((name, reason) in rows and rows[name, reason]["address"] == "127.0.0.1"
                       for name, (_, reason) in reasons.items())
        wait_for(noted, 20, "lines of the audit log")

    def test_passwords_are_not_logged(self):
        self.login(self.stack, "KB\\ana", "a secret that must not be logged", 401)
        log = (self.stack.dir / "daemons.log").read_bytes()
        for secret in (b"a secret that must not be logged", b"the password of ana", slapd.READER_PASSWORD.encode()):
            self.assertNotIn(secret, log)

    def test_survives_a_restart_of_the_server(self):
        self.login(self.stack, "ana", "the password of ana")
        self.directory.stop()
        self.expect_problem(self.login(self.stack, "ana", "the password of ana", 503), 503)
        self.assertEqual(self.login(self.stack, "admin", self.stack.admin_password).status, 201)
        self.directory.start()
        login = lambda _: self.stack.client(None).post(SESSION, {"name": "ana", "password": "the password of ana"}).status
        wait_for(lambda: all(login(n) == 201 for n in range(12)), 60, "logins on every loop after the restart")


class TestWays(DirectoryCase):
    """Other ways to reach slapd."""

    def test_start_tls_and_groups_without_member_of(self):
        with Slapd(nested=False) as directory:
            ana = directory.add_person("ana")
            directory.add_group("leaf", ana)
            directory.add_group("middle", directory.group_dn("leaf"))
            directory.add_group("kb-admins", directory.group_dn("middle"))
            directory.add_member("leaf", directory.group_dn("kb-admins"))
            with gateway_of(directory, directory.ldap) as stack:
                self.assertEqual(self.login(stack, "ana", "the password of ana").json["user"]["role"], "admin")
                self.refused(stack, "ana", "wrong")

    def test_plaintext_only_where_both_sides_allow_it(self):
        with Slapd() as strict, Slapd(plain_binds=True) as lax:
            for directory in (strict, lax):
                directory.add_person("ana")
                directory.add_group("kb-viewers", directory.dn("ana"))
            with gateway_of(strict, strict.ldap, MIRAI_LDAP_PLAINTEXT="true") as stack:  # security simple_bind=128
                self.expect_problem(self.login(stack, "ana", "the password of ana", 503), 503)
            with gateway_of(lax, lax.ldap, MIRAI_LDAP_PLAINTEXT="true") as stack:
                self.login(stack, "ana", "the password of ana")

    def test_everyone_may_read(self):
        with Slapd() as directory:
            directory.add_person("ana")
            with gateway_of(directory, MIRAI_LDAP_VIEWER_GROUPS="*") as stack:
                self.assertEqual(self.login(stack, "ana", "the password of ana").json["user"]["role"], "viewer")

    def test_one_name_of_two_people_is_no_ones(self):
        with Slapd() as directory:
            directory.add_person("ana")
            directory.modify(f"dn: ou=more,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: more\n")
            directory.add_person("ana", dn=f"uid=ana,ou=more,{BASE}")
            with gateway_of(directory, MIRAI_LDAP_VIEWER_GROUPS="*") as stack:
                self.refused(stack, "ana", "the password of ana")


class TestSessionsInRedis(DirectoryCase):
    def test_the_session_that_changes_the_second_factor_goes_on(self):
        with Slapd() as directory, Redis() as redis:
            directory.add_person("ana")
            with gateway_of(directory, MIRAI_LDAP_VIEWER_GROUPS="*", **redis.settings) as stack:
                own, other = (self.session(stack, "ana", "the password of ana") for _ in range(2))
                ask = lambda method, body, status: self.expect(own.request(method, FACTOR, body, own.own), status)
                ask("POST", {"password": "wrong"}, 403)
                secret = ask("POST", {"password": "the password of ana"}, 201).json["secret"]
                codes = ask("PUT", {"otp": code_of(secret)}, 200).json["codes"]
                wait_for(lambda: self.reads(other, 401), 10, "the end of the other session")
                ask("DELETE", {"password": "wrong", "otp": codes[0]}, 403)
                ask("DELETE", {"password": "the password of ana", "otp": codes[0]}, 204)
                self.assertTrue(self.reads(own))


class TestSizes(DirectoryCase):
    def test_an_entry_of_monstrous_size_harms_no_one_else(self):
        """Whoever may fill their own entry, or has got into thousands of groups, stops nobody else from logging in."""
        with Slapd() as directory:
            for name, value in (("many", "m{:05d}@kb.test"), ("long", "l{:05d}@" + 120 * "x" + ".kb.test")):
                dn = directory.add_person(name)
                mails = "".join(f"mail: {value.format(number)}\n" for number in range(9000))
                directory.modify(f"dn: {dn}\nchangetype: modify\nadd: mail\n{mails}")
            directory.add_person("ana")
            with gateway_of(directory, MIRAI_LDAP_VIEWER_GROUPS="*", MIRAI_GATEWAY_THREADS=1) as stack:
                self.login(stack, "ana", "the password of ana")
                for name in ("many", "long", "many"):
                    self.refused(stack, name, f"the password of {name}")
                    self.login(stack, "ana", "the password of ana")


# ---------------------------------------------------------------- Active Directory

@unittest.skipIf(samba.why_not(), f"no domain controller: {samba.why_not()}")
class TestActiveDirectory(DirectoryCase):
    @classmethod
    def setUpClass(cls):
        cls.domain = samba.Samba()
        cls.domain.__enter__()
        cls.addClassCleanup(cls.domain.__exit__)
        cls.stack = Stack(**cls.domain.settings(MIRAI_DIRECTORY_CHECK_SECONDS=2))
        cls.stack.__enter__()
        cls.addClassCleanup(cls.stack.__exit__)

    def test_all_forms_of_a_name(self):
        for name in ("ana", "Ana", "ana@kb.test", "KB\\ana", "kb\\ANA", "kb.test\\ana"):
            with self.subTest(name=name):
                user = self.login(self.stack, name, "Passw0rd!ana").json["user"]
                self.assertEqual((user["name"], user["email"], user["source"]), ("ana", "ana@kb.test", "directory"))
        self.assertEqual(self.login(self.stack, "victoria@mail.example", "Passw0rd!vic").json["user"]["name"], "vic")

    def test_groups_give_roles_through_others_and_as_primary(self):
        for name, role in (("ana", "admin"), ("ben", "editor"), ("vic", "viewer"), ("primary", "viewer")):
            with self.subTest(name=name):
                self.assertEqual(self.login(self.stack, name, f"Passw0rd!{name}").json["user"]["role"], role)

    def test_refusals_tell_nothing(self):
        for name, password in (("ana", "wrong"), ("nobody", "x"), ("nora", "Passw0rd!nora"), ("disabled", "Passw0rd!disabled"),
                               ("expired", "Passw0rd!expired"), ("mustchange", "Passw0rd!mustchange"),
                               ("OTHER\\ana", "Passw0rd!ana"), ("*", "x"), ("a*", "Passw0rd!ana"), ("$", "x"),
                               ("ana@other.test", "Passw0rd!ana"), ("CN=ana", "Passw0rd!ana")):
            with self.subTest(name=name):
                self.refused(self.stack, name, password)
        self.expect_problem(self.login(self.stack, "ana", "", 422), 422)

    def test_outcomes_are_told_apart(self):
        for _ in range(4):
            self.refused(self.stack, "locked", "wrong")
        self.refused(self.stack, "locked", "Passw0rd!locked")
        for name in ("disabled", "expired", "mustchange", "nora", "nobody"):
            self.refused(self.stack, name, f"Passw0rd!{name}")
        counted = self.outcomes()
        for outcome in ("disabled", "account-expired", "must-change-password", "locked", "no-role", "unknown-user",
                        "bad-password"):
            self.assertGreater(counted.get(outcome, 0), 0, (outcome, counted))

    def outcomes(self):
        """{outcome: logins} as the metrics tell."""
        counted = {}
        for line in self.stack.exposition().splitlines():
            if line.startswith("mirai_gateway_directory_logins_total{"):
                outcome = line.split('outcome="')[1].split('"')[0]
                counted[outcome] = counted.get(outcome, 0) + float(line.rsplit(" ", 1)[1])
        return counted

    def test_start_tls(self):
        with Stack(**self.domain.settings(self.domain.ldap)) as stack:
            self.assertEqual(self.login(stack, "ana", "Passw0rd!ana").json["user"]["role"], "admin")
            self.refused(stack, "ana", "wrong")

    def test_who_leaves_loses_access(self):
        leaves = self.session(self.stack, "leaves", "Passw0rd!leaves")
        demoted = self.session(self.stack, "demoted", "Passw0rd!demoted")
        stays = self.session(self.stack, "ben", "Passw0rd!ben")
        self.assertTrue(self.reads(leaves) and self.reads(demoted) and self.reads(stays))
        self.domain.tool("user", "disable", "leaves")
        self.domain.tool("group", "removemembers", "kb-editors", "demoted")
        wait_for(lambda: self.reads(leaves, 401), 40, "the end of the session")
        wait_for(lambda: self.reads(demoted, 401), 40, "the end of the session")
        self.assertTrue(self.reads(stays))
        self.refused(self.stack, "leaves", "Passw0rd!leaves")
        self.assertEqual(self.login(self.stack, "demoted", "Passw0rd!demoted").json["user"]["role"], "viewer")


# ---------------------------------------------------------------- time

class TestRecheck(DirectoryCase):
    SECONDS = 2

    def test_who_leaves_loses_access(self):
        with Slapd() as directory:
            people = ("stays", "deleted", "locked", "leaves", "demoted")
            for name in people:
                directory.add_person(name)
            directory.add_group("kb-viewers", *map(directory.dn, people))
            directory.add_group("kb-editors", directory.dn("demoted"), directory.dn("stays"))
            with gateway_of(directory, MIRAI_DIRECTORY_CHECK_SECONDS=self.SECONDS) as stack:
                clients = {name: self.session(stack, name, f"the password of {name}") for name in people}
                for client in clients.values():
                    self.assertTrue(self.reads(client))
                # While nobody answers nothing is known, and nothing changes.
                directory.stop()
                time.sleep(2 * self.SECONDS)
                for client in clients.values():
                    self.assertTrue(self.reads(client))
                directory.start()
                directory.delete(directory.dn("deleted"))
                directory.lock(directory.dn("locked"))
                directory.remove_member("kb-viewers", directory.dn("leaves"))
                directory.remove_member("kb-editors", directory.dn("demoted"))
                for name in ("deleted", "locked", "leaves", "demoted"):
                    wait_for(lambda: self.reads(clients[name], 401), 40, f"the end of {name}'s session")
                self.assertTrue(self.reads(clients["stays"]))
                self.refused(stack, "deleted", "the password of deleted")
                self.assertEqual(self.login(stack, "demoted", "the password of demoted").json["user"]["role"], "viewer")
                # Back again.
                directory.add_member("kb-viewers", directory.dn("leaves"))
                self.login(stack, "leaves", "the password of leaves")

    def test_within_the_time_that_is_set(self):
        with Slapd() as directory:
            ana = directory.add_person("ana")
            directory.add_person("else")
            directory.add_group("kb-viewers", ana, directory.dn("else"))
            with gateway_of(directory, MIRAI_DIRECTORY_CHECK_SECONDS=self.SECONDS) as stack:
                client = self.session(stack, "ana", "the password of ana")
                directory.remove_member("kb-viewers", ana)
                begun = time.monotonic()
                wait_for(lambda: self.reads(client, 401), 30, "the end of the session")
                took = time.monotonic() - begun
                measured("a removed member lost access after", f"{took:.2f} s of {self.SECONDS} s")
                self.assertLess(took, self.SECONDS + 3)


# ---------------------------------------------------------------- bad servers

class TestServers(DirectoryCase):
    def setUp(self):
        self.directory = self.enter(Slapd())
        self.directory.add_person("ana")
        self.directory.add_group("kb-viewers", self.directory.dn("ana"))

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def bad_servers(self):
        """Every kind, with what the log must say of it."""
        authority = self.directory.authority
        stranger = Authority(self.directory.dir / "other-ca").sign("stranger")
        name = authority.sign("wrong-name", san="IP:127.0.0.2,DNS:localhost")
        old = authority.sign("expired", days=-1)
        good = authority.sign("good")
        tls = badserver.with_tls
        return [
            (f"ldaps://127.0.0.1:{free_port()}", "refused"),
            (self.enter(BadServer(badserver.silent)).ldaps, "no answer in time"),
            (self.enter(BlackHole()).ldaps, "no answer in time"),
            (self.enter(BadServer(badserver.garbage)).ldaps, "TLS"),
            (self.enter(BadServer(badserver.garbage)).ldap, "LDAP"),
            (self.enter(BadServer(tls(stranger, badserver.silent))).ldaps, "certificate"),
            (self.enter(BadServer(tls(name, badserver.silent))).ldaps, "mismatch"),
            (self.enter(BadServer(tls(old, badserver.silent))).ldaps, "expired"),
            (self.enter(BadServer(badserver.closing)).ldaps, "closed|reset"),
            (self.enter(BadServer(tls(good, badserver.closing))).ldaps, "closed|reset"),
            (self.enter(BadServer(tls(good, badserver.silent))).ldaps, "no answer in time"),
            (self.enter(BadServer(tls(good, badserver.garbage))).ldaps, "LDAP"),
            (self.enter(BadServer(badserver.silent)).ldap, "no answer in time"),
        ]

    def test_the_first_good_one_serves(self):
        bad = self.bad_servers()
        servers = ",".join([url for url, _ in bad] + [self.directory.ldaps])
        with gateway_of(self.directory, servers, MIRAI_LDAP_SERVER_MS=300, MIRAI_LDAP_DEADLINE_MS=30000,
                        MIRAI_GATEWAY_THREADS=1) as stack:
            self.login(stack, "ana", "the password of ana")
            def reasons():
                """{server: reason}; the log is written a moment later."""
                return {line["server"]: line["reason"] for line in stack.log_lines()
                        if line.get("message") == "a directory server cannot be used"}
            wait_for(lambda: all(url in reasons() for url, _ in bad), 10, lambda: f"reasons of all servers: {reasons()}")
            for url, reason in bad:
                self.assertRegex(reasons()[url], reason, url)
            begun = time.monotonic()  # those that failed are left alone for a while
            self.login(stack, "ana", "the password of ana")
            self.assertLess(time.monotonic() - begun, 2)
            self.refused(stack, "ana", "wrong")

    def test_none_lets_no_one_in(self):
        bad = self.bad_servers()
        with gateway_of(self.directory, ",".join(url for url, _ in bad), MIRAI_LDAP_SERVER_MS=100,
                        MIRAI_LDAP_DEADLINE_MS=4000) as stack:
            for name in ("ana", "KB\\ana", "nobody"):
                answer = self.login(stack, name, "the password of ana", 503)
                self.expect_problem(answer, 503, "unavailable")
                self.assertNotIn("Set-Cookie", answer.headers)
            self.login(stack, "admin", stack.admin_password)

    def test_wrong_service_account(self):
        settings = self.directory.settings(self.directory.dir / "reader-password")
        (self.directory.dir / "reader-password").write_text("not its password")
        with Stack(**settings) as stack:
            self.expect_problem(self.login(stack, "ana", "the password of ana", 503), 503, "unavailable")
            wait_for(lambda: any("refuses the service account" in line.get("message", "") for line in stack.log_lines()),
                     10, "the reason in the log")
            self.assertNotIn(b"not its password", (stack.dir / "daemons.log").read_bytes())

    def test_the_loop_goes_on_while_all_servers_hang(self):
        silent, hole = self.enter(BadServer(badserver.silent)), self.enter(BlackHole())
        with gateway_of(self.directory, f"{silent.ldaps},{hole.ldaps}", MIRAI_LDAP_SERVER_MS=4000,
                        MIRAI_LDAP_DEADLINE_MS=8000) as stack:
            # With TLS connections that are open already: new ones cost time of their own.
            clients = [stack.client(None, timeout=30) for _ in range(50)]
            for client in clients:
                self.expect(client.get("/health"), 200)
            reader = stack.client()
            self.expect(reader.get("/api/v1/articles"), 200)
            with concurrent.futures.ThreadPoolExecutor(50) as pool:
                pending = [pool.submit(client.post, SESSION, {"name": "ana", "password": "the password of ana"})
                           for client in clients]
                wait_for(lambda: silent.accepted > 0, 10, "a connection")
                slowest, count = 0, 0
                end = time.monotonic() + 2
                while time.monotonic() < end:
                    begun = time.monotonic()
                    self.expect(reader.get("/api/v1/articles"), 200)
                    slowest, count = max(slowest, time.monotonic() - begun), count + 1
                self.assertFalse(all(one.done() for one in pending))
                measured("reads while 50 logins hang", f"{count} in 2 s, slowest {slowest * 1000:.1f} ms")
                self.assertLess(slowest, 1)
                for one in pending:
                    self.expect_problem(one.result(), 503)
            self.login(stack, "admin", stack.admin_password)


# ---------------------------------------------------------------- configuration

class TestConfiguration(DirectoryCase):
    GOOD = {"MIRAI_LDAP_SERVERS": "ldaps://127.0.0.1", "MIRAI_LDAP_BASE": BASE, "MIRAI_LDAP_VIEWER_GROUPS": "*"}

    def start(self, **settings):
        """Start a gateway with these settings until it complains: what it says."""
        stack = Stack()
        self.addCleanup(stack.__exit__)
        environment = stack.environment | {key: str(value) for key, value in settings.items()}
        for name in ("run", "data"):
            (stack.dir / name).mkdir()
        done = subprocess.run([BIN / "mirai-gateway"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_faults_are_named(self):
        for variable, settings in (
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "http://127.0.0.1"}),
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "ldaps://"}),
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "ldaps://host:0"}),
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "ldaps://user@host"}),
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "ldaps://host/dc=kb"}),
                ("MIRAI_LDAP_SERVERS", {"MIRAI_LDAP_SERVERS": "ldaps://[::1"}),
                ("MIRAI_LDAP_PLAINTEXT", {"MIRAI_LDAP_SERVERS": "ldap://192.0.2.1", "MIRAI_LDAP_PLAINTEXT": "true"}),
                ("MIRAI_LDAP_PLAINTEXT", {"MIRAI_LDAP_SERVERS": "ldap://localhost", "MIRAI_LDAP_PLAINTEXT": "true"}),
                ("MIRAI_LDAP_BASE", {"MIRAI_LDAP_BASE": "kb.test"}),
                ("MIRAI_LDAP_BASE", {"MIRAI_LDAP_BASE": ""}),
                ("MIRAI_LDAP_GROUP_BASE", {"MIRAI_LDAP_GROUP_BASE": "groups"}),
                ("MIRAI_LDAP_USER_ATTRIBUTE", {"MIRAI_LDAP_USER_ATTRIBUTE": "uid)(x=*"}),
                ("MIRAI_LDAP_USER_FILTER", {"MIRAI_LDAP_USER_FILTER": "(objectClass=person"}),
                ("MIRAI_LDAP_BIND_DN", {"MIRAI_LDAP_TYPE": "active-directory"}),
                ("MIRAI_LDAP_BIND_PASSWORD", {"MIRAI_LDAP_BIND_DN": slapd.READER}),
                ("MIRAI_LDAP_VIEWER_GROUPS", {"MIRAI_LDAP_VIEWER_GROUPS": ""}),
                ("MIRAI_LDAP_ADMIN_GROUPS", {"MIRAI_LDAP_ADMIN_GROUPS": "*"}),
                ("MIRAI_LDAP_EDITOR_GROUPS", {"MIRAI_LDAP_EDITOR_GROUPS": "cn=a,,dc=kb"}),
        ):
            with self.subTest(**settings):
                self.assertIn(f'"variable":"{variable}"', self.start(**(self.GOOD | settings)))

    def test_unreadable_authorities(self):
        self.assertIn("cannot read the trusted certificates",
                      self.start(**self.GOOD, MIRAI_LDAP_CA_FILE="/nonexistent/ca.pem"))
