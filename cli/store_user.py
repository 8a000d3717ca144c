"""`fast-reply store-user`: creates the store's one user, with a generated password and the needed rights."""

import hashlib
import os
import secrets
import sys
from pathlib import Path

USER = "fastreply"
RULES = """\
resetkeys resetchannels nocommands ~fr:* ~arq:* &fr:* +blmpop +client|setinfo +del +eval +exec +exists
+expire +get +hdel +hexists +hget +hgetall +hincrby +hlen +hmget +hscan +hset +incrby +info +llen +lpop
+lpos +lpush +lrange +lrem +ltrim +mget +multi +persist +pexpire +pexpireat +pexpiretime +ping +pttl
+publish +rpush +sadd +scan +set +sismember +smembers +srem +subscribe +time +unsubscribe +unwatch +watch
+xadd +xdel +xinfo|stream +xlen +xrange +xrevrange +xsetid +xtrim +zadd +zcard +zcount +zmscore +zrange
+zrangebylex +zrangebyscore +zrem +zremrangebyrank +zremrangebyscore +zrevrange +zrevrangebyscore +zscore"""
"""As docs/deployment.md explains them; a test holds the two equal."""

ACL_FILE, URL_FILE = "users.acl", "redis-url"


def make_user(folder: Path, server: str) -> int:
    """Write the server's ACL file and the gateway's URL, unless they are there; return the exit code.

    Only a digest of the password is the server's.
    """
    acl, url = folder / ACL_FILE, folder / URL_FILE
    if acl.exists() and url.exists():
        print(f"the store's user is in {folder} already")
        return 0
    password = secrets.token_urlsafe(32)
    digest = hashlib.sha256(password.encode()).hexdigest()
    try:
        _write(url, f"redis://{USER}:{password}@{server}/0\n", 0o400)
        # The server runs as another user; there is nothing secret in it.
        _write(acl, f"user default off\nuser {USER} on #{digest} {' '.join(RULES.split())}\n", 0o444)
    except OSError as error:
        print(f"fast-reply: {error}", file=sys.stderr)
        return 1
    print(f"made the store's user in {folder}")
    return 0


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask is
        file.write(text)
