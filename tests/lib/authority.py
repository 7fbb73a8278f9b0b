"""A certificate authority in a folder, for servers that tests start."""

import pathlib
import subprocess


class Authority:
    """Signs certificates; `file` is what clients are to trust."""

    def __init__(self, folder, name="Test authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        self.openssl("req", "-x509", *self.new_key(self.key), "-days", "2", "-subj", f"/CN={name}", "-out", self.file)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    @staticmethod
    def new_key(file):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(file))

    def sign(self, name, san="IP:127.0.0.1", days=2):
        """(certificate, key) of a server; days < 0: expired."""
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={san}\n")
        self.openssl("req", *self.new_key(key), "-subj", f"/CN={name}", "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                     "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key
