"""TLS as it is served: versions, suites, protocols, tickets, and the certificates that are refused."""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from case import Case
from stack import BIN, Stack, free_port, wait_for

TICKET_SECONDS = 4


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Served(Case):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(MIRAI_TLS_TICKET_SECONDS=TICKET_SECONDS))

    def context(self, **attributes):
        context = ssl.create_default_context(cafile=str(self.stack.tls_file))
        for name, value in attributes.items():
            setattr(context, name, value)
        return context

    @contextlib.contextmanager
    def connected(self, context, session=None):
        with socket.create_connection(("127.0.0.1", self.stack.port), 10) as raw:
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                yield tls

    def asked(self, tls):
        tls.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        answer.read()
        return answer.status

    # ---------------------------------------------------------------- what is agreed upon

    def test_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.connected(self.context(minimum_version=version, maximum_version=version)) as tls:
                self.assertEqual(self.asked(tls), 200)
        for flag in ("-tls1", "-tls1_1"):
            done = subprocess.run(["openssl", "s_client", flag, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{self.stack.port}"],
                                  input=b"", capture_output=True)
            self.assertNotEqual(done.returncode, 0, flag)

    def test_old_suites_are_refused(self):
        for suites in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA", "NULL", "aNULL"):
            context = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(f"{suites}:@SECLEVEL=0")
            with self.assertRaises(ssl.SSLError, msg=suites), self.connected(context):
                pass

    def test_the_server_chooses_the_suite(self):
        context = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
        with self.connected(context) as tls:
            chosen = tls.cipher()[0]
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
        with self.connected(context) as tls:
            self.assertEqual(tls.cipher()[0], chosen)

    def test_protocols(self):
        for offered, selected in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["x", "http/1.1"], "http/1.1")):
            context = self.context()
            context.set_alpn_protocols(offered)
            with self.connected(context) as tls:
                self.assertEqual(tls.selected_alpn_protocol(), selected)
        with self.connected(self.context()) as tls:  # who offers none speaks HTTP/1
            self.assertIsNone(tls.selected_alpn_protocol())
            self.assertEqual(self.asked(tls), 200)
        for strange in (["ftp"], ["h2-14"], ["h2c"], ["HTTP/1.1"]):
            context = self.context()
            context.set_alpn_protocols(strange)
            with self.assertRaises(ssl.SSLError, msg=strange), self.connected(context):
                pass

    def test_renegotiation_is_refused(self):
        done = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{self.stack.port}"], input=b"R\n", capture_output=True, timeout=20)
        self.assertIn(b"error", done.stderr.partition(b"RENEGOTIATING")[2])

    def test_no_early_data(self):
        session = self.stack.dir / "session"
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.stack.port}", "-sess_out", session, "-ign_eof"],
                              input=b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", capture_output=True, timeout=20)
        self.assertIn(b"Max Early Data: 0", done.stdout)

    # ---------------------------------------------------------------- tickets

    def session(self, context):
        with self.connected(context) as tls:
            self.assertEqual(self.asked(tls), 200)  # TLS 1.3 gives it with the first answer
            return tls.session

    def resumed(self, context, session):
        with self.connected(context, session) as tls:
            self.assertEqual(self.asked(tls), 200)
            return tls.session_reused

    def test_sessions_are_resumed_by_every_loop_until_their_key_is_gone(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(minimum_version=version, maximum_version=version)
            session, began = self.session(context), time.monotonic()
            with contextlib.ExitStack() as stack:  # several connections at once: the kernel spreads them over the loops
                many = [stack.enter_context(self.connected(context, session)) for _ in range(8)]
                fresh = time.monotonic() - began < TICKET_SECONDS / 2
                self.assertTrue(all(tls.session_reused for tls in many) or not fresh)
            wait_for(lambda: not self.resumed(context, session), 2 * TICKET_SECONDS + 10, "end of the session")

    def test_a_new_certificate_ends_sessions(self):
        context = self.context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        session = self.session(context)
        before = len([line for line in self.stack.log_lines() if line.get("message") == "certificate read again"])
        self.stack.make_certificate()
        wait_for(lambda: len([line for line in self.stack.log_lines() if line.get("message") == "certificate read again"]) > before, 10, "the new certificate")
        self.assertFalse(self.resumed(context, session))

    def test_handshakes_that_begin_after_a_new_certificate(self):
        """On connections that were there before, and have not said a word."""
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", self.stack.port), 10)) for _ in range(16)]
            self.replace(self.stack.make_certificate)
            self.replace(self.stack.make_certificate)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            for raw in silent:
                with context.wrap_socket(raw) as tls:
                    self.assertEqual(self.asked(tls), 200)

    def test_rsa(self):
        tls = self.stack.dir / "tls"
        self.addCleanup(self.replace, self.stack.make_certificate)

        def rsa():
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", tls / "new.key", "-out", tls / "new.pem")
            (tls / "new.key").rename(tls / "server.key")
            (tls / "new.pem").rename(tls / "server.pem")
        self.replace(rsa)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.connected(self.context(minimum_version=version, maximum_version=version)) as connection:
                self.assertEqual(self.asked(connection), 200)

    def replace(self, make):
        make()
        wanted = ssl.PEM_cert_to_DER_cert(self.stack.tls_file.read_text())

        def served():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            for _ in range(4):
                with self.connected(context) as tls:
                    if tls.getpeercert(True) != wanted:
                        return False
            return True
        os.kill(self.stack.pid("gateway"), signal.SIGHUP)
        wait_for(served, 10, "the new certificate")

    def test_no_hsts_on_loopback(self):
        self.assertNotIn("Strict-Transport-Security", self.stack.client().request("GET", "/health", headers={"Host": "kb.example.jp"}).headers)


class Refused(Case):
    """What the gateway says to a bad certificate or key when it starts."""

    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.key, self.pem = self.dir / "server.key", self.dir / "server.pem"

    def make(self, *arguments):
        openssl("req", "-x509", "-nodes", "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.pem, *arguments)

    def start(self, until):
        """Run the gateway until it ends or has written `until`; its exit code (None: it serves) and what it wrote."""
        environment = {"PATH": os.environ["PATH"], "MIRAI_RUN_DIR": str(self.dir), "MIRAI_DATA_DIR": str(self.dir),
                       "MIRAI_GATEWAY_LISTEN": f"127.0.0.1:{free_port()}", "MIRAI_TLS_CERTIFICATE": str(self.pem), "MIRAI_TLS_PRIVATE_KEY": str(self.key)}
        log = self.dir / "log"
        with open(log, "wb") as out, subprocess.Popen([BIN / "mirai-gateway"], env=environment, stdout=out, stderr=out) as process:
            try:
                wait_for(lambda: process.poll() is not None or until in log.read_text(), 10, lambda: log.read_text())
                return process.poll(), log.read_text()
            finally:
                process.terminate()

    def check_refused(self, reason):
        code, text = self.start("no such text")
        self.assertNotIn(code, (None, 0), text)
        self.assertIn(reason, text)

    def test_short_key(self):
        self.make("-newkey", "rsa:1024")
        self.check_refused("its key is too short")

    def test_sha1(self):
        self.make("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        request, ca_key, ca = self.dir / "request", self.dir / "ca.key", self.dir / "ca.pem"
        openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=CA", "-keyout", ca_key, "-out", ca)
        openssl("req", "-new", "-key", self.key, "-subj", "/CN=localhost", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-sha1", "-days", 2, "-out", self.pem)
        self.check_refused("it is signed with SHA-1")

    def test_key_of_another_certificate(self):
        self.make("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        self.check_refused("the private key is not that of the certificate")

    def test_key_that_everyone_may_read(self):
        self.make("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.key.chmod(0o644)
        self.check_refused("open to others")
        self.key.chmod(0o660)
        self.check_refused("open to others")
        self.key.chmod(0o640)
        self.assertIsNone(self.start('"serving"')[0])

    def test_dates(self):
        for days, reason in (((-3, -1), "the certificate has expired"), ((1, 3), "the certificate is not valid yet")):
            key = self.key
            openssl("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost", "-keyout", key, "-out", self.dir / "request")
            config = self.dir / "ca.cnf"
            (self.dir / "index").write_text("")
            (self.dir / "serial").write_text("01\n")
            config.write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={self.dir}/index\nserial={self.dir}/serial\nnew_certs_dir={self.dir}\ndefault_md=sha256\n"
                              "policy=p\n[p]\ncommonName=supplied\n")
            start, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * day)) for day in days)
            openssl("ca", "-batch", "-selfsign", "-config", config, "-keyfile", key, "-in", self.dir / "request", "-startdate", start, "-enddate", end, "-out", self.pem, "-notext")
            code, text = self.start('"serving"')
            self.assertIsNone(code, text)
            self.assertIn(reason, text)


if __name__ == "__main__":
    unittest.main()
