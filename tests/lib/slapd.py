"""OpenLDAP's server with people and groups, in a folder of its own on free ports."""

import pathlib
import shutil
import subprocess
import tempfile

from authority import Authority
from stack import free_port, wait_for

BASE = "dc=kb,dc=test"
READER = f"cn=reader,{BASE}"
READER_PASSWORD = "the reader's own secret"
ROOT = f"cn=root,{BASE}"
ROOT_PASSWORD = "only for the tests' own changes"

PEOPLE = """
dn: {base}
objectClass: dcObject
objectClass: organization
dc: kb
o: KB

dn: ou=people,{base}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{base}
objectClass: organizationalUnit
ou: groups

dn: {reader}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {reader_password}
""".format(base=BASE, reader=READER, reader_password=READER_PASSWORD)


def is_installed():
    return shutil.which("slapd", path="/usr/sbin:/usr/bin") is not None


class Slapd:
    """Use as a context manager. nested: memberOf tells nested groups as well (overlay dynlist); otherwise there is no memberOf.
    plain_binds: whether passwords may come without TLS."""

    def __init__(self, nested=True, plain_binds=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-slapd-"))
        self.nested = nested
        self.plain_binds = plain_binds
        self.port = free_port()
        self.tls_port = free_port()
        self.authority = Authority(self.dir / "ca")
        self.process = None

    @property
    def ldap(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps(self):
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ldapi(self):
        return "ldapi://" + str(self.dir / "socket").replace("/", "%2F")

    def __enter__(self):
        try:
            (self.dir / "db").mkdir()
            (self.dir / "seed.ldif").write_text(PEOPLE)
            self.configure(*self.authority.sign("slapd"))
            self.run("slapadd", "-q", "-f", self.dir / "slapd.conf", "-l", self.dir / "seed.ldif")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def configure(self, certificate, key):
        lines = [f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson", "dyngroup")]
        lines += ["modulepath /usr/lib/ldap", "moduleload back_mdb", "moduleload dynlist", "moduleload ppolicy",
                  f"pidfile {self.dir}/slapd.pid",
                  f"TLSCACertificateFile {self.authority.file}",
                  f"TLSCertificateFile {certificate}", f"TLSCertificateKeyFile {key}",
                  "localSSF 256"]
        if not self.plain_binds:
            lines.append("security simple_bind=128")
        lines += ["database mdb", f'suffix "{BASE}"', f'rootdn "{ROOT}"', f'rootpw "{ROOT_PASSWORD}"',
                  f"directory {self.dir}/db", "index uid,member eq",
                  "access to attrs=userPassword by anonymous auth by * none",
                  f'access to * by dn.exact="{READER}" read by * none']
        if self.nested:
            lines += ["overlay dynlist", "dynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*"]
        lines += ["overlay ppolicy", "ppolicy_use_lockout"]
        (self.dir / "slapd.conf").write_text("\n".join(lines) + "\n")

    def start(self):
        self.process = subprocess.Popen(
            ["/usr/sbin/slapd", "-d", "0", "-f", self.dir / "slapd.conf", "-h", f"{self.ldap} {self.ldaps} {self.ldapi}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"slapd ended with {self.process.returncode}")
            return subprocess.run(["ldapwhoami", "-x", "-H", self.ldapi, "-D", ROOT, "-w", ROOT_PASSWORD],
                                  capture_output=True).returncode == 0
        wait_for(answers, 20, "slapd")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @staticmethod
    def run(*command, text=None):
        done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LDAPNOINIT": "1"})
        if done.returncode != 0:
            raise AssertionError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def modify(self, ldif):
        """Changes in LDIF, made as the directory's administrator."""
        self.run("ldapmodify", "-x", "-H", self.ldapi, "-D", ROOT, "-w", ROOT_PASSWORD, "-e", "relax", text=ldif)

    # ---------------------------------------------------------------- people and groups

    @staticmethod
    def dn(uid):
        return f"uid={uid},ou=people,{BASE}"

    @staticmethod
    def group_dn(name):
        return f"cn={name},ou=groups,{BASE}"

    def add_person(self, uid, password=None, name=None, mail=None, dn=None):
        """The password is `the password of UID` unless another is given. Returns the DN."""
        dn = dn or self.dn(uid)
        mail = f"mail: {mail}\n" if mail else ""
        self.modify(f"dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {name or uid}\nsn: {uid}\n"
                    f"displayName: {name or uid}\n{mail}userPassword: {password or f'the password of {uid}'}\n")
        return dn

    def add_group(self, name, *members):
        """members: DNs. Returns its DN."""
        lines = "".join(f"member: {member}\n" for member in members)
        self.modify(f"dn: {self.group_dn(name)}\nchangetype: add\nobjectClass: groupOfNames\ncn: {name}\n{lines}")
        return self.group_dn(name)

    def delete(self, dn):
        self.modify(f"dn: {dn}\nchangetype: delete\n")

    def add_member(self, group, member):
        self.modify(f"dn: {self.group_dn(group)}\nchangetype: modify\nadd: member\nmember: {member}\n")

    def remove_member(self, group, member):
        self.modify(f"dn: {self.group_dn(group)}\nchangetype: modify\ndelete: member\nmember: {member}\n")

    def lock(self, dn):
        """Locked for good by an administrator (ppolicy)."""
        self.modify(f"dn: {dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")

    # ---------------------------------------------------------------- the gateway's settings

    def settings(self, password_file, servers=None, **more):
        """How a gateway uses this directory; password_file: where to write the service account's password."""
        password_file.write_text(READER_PASSWORD)
        password_file.chmod(0o600)
        return {
            "MIRAI_LDAP_SERVERS": servers or self.ldaps,
            "MIRAI_LDAP_CA_FILE": self.authority.file,
            "MIRAI_LDAP_BASE": BASE,
            "MIRAI_LDAP_BIND_DN": READER,
            "MIRAI_LDAP_BIND_PASSWORD_FILE": password_file,
            "MIRAI_LDAP_DOMAIN": "kb.test",
            "MIRAI_LDAP_NETBIOS_NAME": "KB",
            "MIRAI_LDAP_ADMIN_GROUPS": f"{self.group_dn('kb-admins')}; other-admins",
            "MIRAI_LDAP_EDITOR_GROUPS": "KB-Editors",
            "MIRAI_LDAP_VIEWER_GROUPS": f"CN=kb-viewers, OU=groups,{BASE.upper()}",
        } | more
