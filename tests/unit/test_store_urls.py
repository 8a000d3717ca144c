"""Which stores' URLs are served, and what is said of the others: one line, without the URL."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.settings import Settings

ROOT = Path(__file__).parents[2]
SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://store",
        "redis://user:p%40ss@store:6380/2",
        "rediss://store:6380/0?ssl_ca_certs=/etc/ssl/store.pem",
        "redis://[::1]:6379/0",
        "unix:///run/valkey.sock",
        "unix:///run/valkey.sock?db=3",
        "unix://user:pass@/run/valkey.sock",
    ],
)
def test_a_stores_url_is_served(url: str) -> None:
    assert Settings(redis_url=url, queue_url=url).redis_url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"redis+sentinel://:{SECRET}@one:26379,two:26379/mymaster/0", "Sentinel"),
        (f"sentinel://:{SECRET}@one:26379/mymaster", "Sentinel"),
        (f"rediss+sentinel://:{SECRET}@one", "Sentinel"),
        (f"redis-sentinel://:{SECRET}@one", "Sentinel"),
        (f"redis+cluster://:{SECRET}@one:6379", "one server"),
        (f"redis-cluster://:{SECRET}@one:6379", "one server"),
        (f"redis://:{SECRET}@one:6379,two:6379/0", "one server"),
        (f"one:6379,two:6379,password={SECRET}", "redis://"),
        (f"http://:{SECRET}@one:6379", "redis://"),
        (f"valkeys+unix://{SECRET}", "redis://"),
        ("127.0.0.1:6379", "redis://"),
        ("localhost", "redis://"),
        ("unix://", "path"),
        ("unix://run/valkey.sock", "path"),
        (f"redis://:{SECRET}@one:port/0", "can't be read"),
        ("redis://one:99999999/0", "can't be read"),
        (f"redis://one/0?{SECRET}=1", "option"),
        ("redis://[::1/0", "URL"),
    ],
)
@pytest.mark.parametrize("which", ["redis_url", "queue_url"])
def test_no_other_is_and_a_line_says_why(url: str, says: str, which: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Settings(**{which: url})  # type: ignore[arg-type]
    (error,) = wrong.value.errors()
    assert says in error["msg"] and SECRET not in error["msg"] and "\n" not in error["msg"]


def test_a_process_says_it_in_one_line_and_ends() -> None:
    env = {"REDIS_URL": f"redis+sentinel://:{SECRET}@one/mymaster", "PATH": ""}
    command = (sys.executable, "-m", "cli.main", "api")
    found = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert "Sentinel" in found.stderr and SECRET not in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
