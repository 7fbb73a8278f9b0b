"""What the gateway's TLS offers, as testssl and sslscan see it; a weak server shows that they would see worse."""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from stack import Stack, free_port, measured, wait_for

stack = None
# Not faults here: HSTS is not sent on localhost; the probe for old cards and engines is of testssl's own openssl.
ACCEPTED = {"HSTS", "engine_problem", "RC4", "scanTime", "scanProblem"}
AEAD = re.compile(r"^(TLS_|ECDHE-(ECDSA|RSA)-)(AES_?(128|256)_?-?GCM|AES(128|256)-GCM|CHACHA20)[-_A-Z0-9]*$")


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class Tls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mirai-tls-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def probe(self, port, *checks):
        """{id: (severity, text)} of what is no OK."""
        report = self.folder / f"testssl-{port}.json"
        subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--fast", "--ip", "one", *checks, "--jsonfile", report,
                        f"localhost:{port}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=400, check=False)
        rows = json.loads(report.read_text())
        self.assertGreater(len(rows), 5)
        return {row["id"]: (row["severity"], row["finding"]) for row in rows if row["severity"] not in ("OK", "INFO")}

    def sslscan(self, port):
        """(enabled protocols, accepted suites)"""
        report = self.folder / f"sslscan-{port}.xml"
        subprocess.run(["sslscan", f"--xml={report}", f"localhost:{port}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
        test = xml.etree.ElementTree.parse(report).find("ssltest")
        protocols = {f"{row.get('type')}{row.get('version')}".upper() for row in test.iter("protocol") if row.get("enabled") == "1"}
        return protocols, {row.get("cipher") for row in test.iter("cipher")}, test

    def test_the_gateway_offers_nothing_weak(self):
        protocols, suites, test = self.sslscan(stack.port)
        self.assertEqual(protocols, {"TLS1.2", "TLS1.3"})
        self.assertEqual([suite for suite in suites if not AEAD.match(suite)], [])
        self.assertGreaterEqual(len(suites), 5)
        self.assertEqual([row.get("supported") for row in test.iter("compression") if row.get("supported") != "0"], [])
        self.assertEqual([row.get("vulnerable") for row in test.iter("heartbleed") if row.get("vulnerable") != "0"], [])
        measured("suites", ", ".join(sorted(suites)))

    def test_testssl_finds_nothing(self):
        found = self.probe(stack.port, "-p", "-s", "-f", "-U")
        self.assertEqual({name: row for name, row in found.items() if name not in ACCEPTED}, {})

    def test_they_find_a_weak_server(self):
        port = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout",
                        self.folder / "key", "-out", self.folder / "pem"], check=True, capture_output=True)
        server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", self.folder / "key", "-cert", self.folder / "pem", "-www",
                                   "-quiet", "-min_protocol", "TLSv1", "-max_protocol", "TLSv1.2", "-cipher", "ALL:@SECLEVEL=0", "-legacy_renegotiation"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def answers():
                with contextlib.suppress(OSError):
                    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10).returncode == 0
            wait_for(answers, 15, "the weak server")
            protocols, suites, _ = self.sslscan(port)
            self.assertIn("TLS1.0", protocols)
            self.assertTrue([suite for suite in suites if not AEAD.match(suite)])
            found = self.probe(port, "-p", "-s")
            self.assertLessEqual({"TLS1", "TLS1_1"}, set(found))
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    unittest.main()
