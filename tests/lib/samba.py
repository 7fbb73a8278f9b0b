"""A domain controller of Active Directory (Samba) with people and groups. Needs root: its ports are fixed, so it runs in a
network namespace of its own, and free ports on 127.0.0.1 lead there."""

import contextlib
import ctypes
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

from authority import Authority
from stack import ROOT, wait_for

BASE = "DC=kb,DC=test"
READER = f"CN=reader,CN=Users,{BASE}"
READER_PASSWORD = "Passw0rd!reader"
CLONE_NEWNET = 0x40000000

# Runs under the system's Python, which has Samba's modules. The password of NAME is Passw0rd!NAME.
PEOPLE = """
import sys, ldb
from samba.samdb import SamDB
from samba.auth import system_session
from samba.param import LoadParm
lp = LoadParm(); lp.load(sys.argv[1])
db = SamDB(url=sys.argv[2], session_info=system_session(), lp=lp)
def person(name, **more):
    db.newuser(name, "Passw0rd!" + name, **more)
def member(group, *names):
    db.add_remove_group_members(group, list(names), add_members_operation=True)
person("reader")
person("ana", givenname="Ana", surname="花子", mailaddress="ana@kb.test")
for name in ("ben", "vic", "nora", "disabled", "expired", "locked", "primary", "leaves", "demoted"):
    person(name)
person("mustchange", force_password_change_at_next_login_req=True)
for group in ("operators", "infra", "kb-admins", "kb-editors", "kb-viewers"):
    db.newgroup(group)
member("operators", "ana"); member("infra", "operators"); member("kb-admins", "infra")
member("kb-editors", "ben", "demoted")
member("kb-viewers", "vic", "disabled", "expired", "locked", "primary", "mustchange", "leaves", "demoted")
db.disable_account("(sAMAccountName=disabled)")
db.setexpiry("(sAMAccountName=expired)", -86400)
rid = db.search(base="CN=kb-viewers,CN=Users," + db.domain_dn(), attrs=["primaryGroupToken"])[0]["primaryGroupToken"][0]
change = ldb.Message(ldb.Dn(db, "CN=primary,CN=Users," + db.domain_dn()))
change["primaryGroupID"] = ldb.MessageElement(rid, ldb.FLAG_MOD_REPLACE, "primaryGroupID")
db.modify(change)
policy = ldb.Message(db.get_default_basedn())
policy["lockoutThreshold"] = ldb.MessageElement("3", ldb.FLAG_MOD_REPLACE, "lockoutThreshold")
db.modify(policy)
upn = ldb.Message(ldb.Dn(db, "CN=vic,CN=Users," + db.domain_dn()))
upn["userPrincipalName"] = ldb.MessageElement("victoria@mail.example", ldb.FLAG_MOD_REPLACE, "userPrincipalName")
db.modify(upn)
"""

CACHE = ROOT / "build" / f"samba-{hashlib.sha256(PEOPLE.encode()).hexdigest()[:12]}"


def why_not():
    """Why it cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("samba", "samba-tool", "unshare", "ip"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    return None


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def provision():
    """A new domain with its people, made once and kept in the build folder."""
    if CACHE.exists():
        return
    CACHE.parent.mkdir(exist_ok=True)
    made = pathlib.Path(tempfile.mkdtemp(prefix="samba-", dir=CACHE.parent))
    try:
        (made / "empty.conf").touch()
        run("samba-tool", "domain", "provision", f"--configfile={made}/empty.conf", f"--targetdir={made}/domain",
            "--realm=KB.TEST", "--domain=KB", "--server-role=dc", "--dns-backend=NONE", "--adminpass=Passw0rd!x1",
            "--host-name=dc1", "--host-ip=127.0.0.1", "--option=vfs objects = dfs_samba4 acl_xattr xattr_tdb")
        run("/usr/bin/python3", "-c", PEOPLE, made / "domain" / "etc" / "smb.conf",
            made / "domain" / "private" / "sam.ldb")
        with contextlib.suppress(OSError):  # another run was quicker
            made.rename(CACHE)
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Relay:
    """A port on 127.0.0.1 that leads to a port in the network namespace of a process."""

    def __init__(self, pid, port):
        self.namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        os.close(self.namespace)

    def serve(self):
        if ctypes.CDLL(None, use_errno=True).setns(self.namespace, CLONE_NEWNET) != 0:  # of this thread alone
            return
        while True:
            try:
                here, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            there.settimeout(None)
            for one, other in ((here, there), (there, here)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()


class Samba:
    """Use as a context manager."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-samba-"))
        self.process = None
        self.relays = {}

    def __enter__(self):
        try:
            provision()
            shutil.copytree(CACHE / "domain", self.dir / "domain", dirs_exist_ok=True, copy_function=shutil.copy2)
            self.authority = Authority(self.dir / "ca")
            self.configure()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for relay in self.relays.values():
            relay.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def conf(self):
        return self.dir / "dc.conf"

    @property
    def database(self):
        return self.dir / "domain" / "private" / "sam.ldb"

    def configure(self):
        certificate, key = self.authority.sign("dc1")
        key.chmod(0o600)
        domain = self.dir / "domain"
        (self.dir / "run").mkdir()
        settings = {
            "netbios name": "DC1", "realm": "KB.TEST", "workgroup": "KB",
            "server role": "active directory domain controller", "server services": "ldap",
            "interfaces": "lo", "bind interfaces only": "yes",
            "private dir": domain / "private", "state directory": domain / "state", "lock directory": domain,
            "cache directory": domain / "cache", "binddns dir": domain / "bind-dns",
            "pid directory": self.dir / "run", "ncalrpc dir": self.dir / "run" / "ncalrpc",
            "log file": self.dir / "samba.log", "tls keyfile": key, "tls certfile": certificate,
            "tls cafile": self.authority.file,
        }
        self.conf.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))

    def start(self):
        inside = f"ip link set lo up && exec samba -i -M single --configfile={self.conf} --no-process-group"
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", inside], stdout=subprocess.DEVNULL,
                                        stderr=open(self.dir / "samba.err", "wb"), stdin=subprocess.DEVNULL)

        def listens():
            if self.process.poll() is not None:
                raise AssertionError((self.dir / "samba.err").read_text()[-2000:])
            table = pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text()
            return ":027C " in table and ":0185 " in table  # 636 and 389
        wait_for(listens, 30, "samba")
        self.relays = {port: Relay(self.process.pid, port) for port in (389, 636)}

    @property
    def ldap(self):
        return f"ldap://127.0.0.1:{self.relays[389].port}"

    @property
    def ldaps(self):
        return f"ldaps://127.0.0.1:{self.relays[636].port}"

    def tool(self, *arguments):
        """samba-tool on the running server's database."""
        return run("samba-tool", *arguments, "-H", self.database, "-s", self.conf)

    def settings(self, servers=None, **more):
        password = self.dir / "reader-password"
        password.write_text(READER_PASSWORD)
        password.chmod(0o600)
        return {
            "MIRAI_LDAP_SERVERS": servers or self.ldaps,
            "MIRAI_LDAP_TYPE": "active-directory",
            "MIRAI_LDAP_CA_FILE": self.authority.file,
            "MIRAI_LDAP_BASE": BASE,
            "MIRAI_LDAP_BIND_DN": READER,
            "MIRAI_LDAP_BIND_PASSWORD_FILE": password,
            "MIRAI_LDAP_DOMAIN": "kb.test",
            "MIRAI_LDAP_NETBIOS_NAME": "KB",
            "MIRAI_LDAP_ADMIN_GROUPS": f"CN=kb-admins,CN=Users,{BASE}",
            "MIRAI_LDAP_EDITOR_GROUPS": "KB-Editors",
            "MIRAI_LDAP_VIEWER_GROUPS": "kb-viewers; nobody",
        } | more
