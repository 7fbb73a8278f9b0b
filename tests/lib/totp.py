"""One-time codes, as an authenticator app (oathtool) makes them."""

import subprocess
import time


def code_of(secret, seconds=0):
    """What the app shows, `seconds` from now."""
    return subprocess.run(["oathtool", "--totp", "--base32", "--now", f"@{int(time.time()) + seconds}", secret],
                          env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True).stdout.strip()
