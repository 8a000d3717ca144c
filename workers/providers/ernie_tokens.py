"""Access tokens of Baidu's platform: fetched once, kept until they expire, shared by all workers.

Source: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from common.security.secret_box import SecretBox
from common.store import keys
from common.store.redis import Stores, StoreUnavailable
from workers.providers.base import UpstreamError
from workers.providers.exchange import garbled, network_errors, refusal, whole

logger = logging.getLogger(__name__)

_ASK_S = 5.0
_LOOK_S = 0.05  # how often to check whether another worker has the token
_LONGEST_S = 366 * 86_400.0  # whatever a server says
_EARLY_S = 3_600.0  # a token is renewed this long before it expires, or a tenth of its life


@dataclass(slots=True)
class _Account:
    """One pair of keys at one server, and its token as this process knows it."""

    name: str
    server: str
    api_key: str
    secret_key: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = ""
    until_s: float = 0.0

    def fresh(self, refused: str) -> bool:
        """Return True if there is a valid token other than the refused one."""
        return self.token not in ("", refused) and time.monotonic() < self.until_s


class ErnieTokens:
    """The tokens of all accounts. Without a secret box they stay in this process."""

    def __init__(self, client: httpx.AsyncClient, stores: Stores, seal: SecretBox | None) -> None:
        self._client = client
        self._stores = stores
        self._seal = seal
        self._accounts: dict[str, _Account] = {}

    async def get(self, server: str, key: SecretStr, *, refused: str = "") -> str:
        """Return a valid token other than the one that was `refused`. Raises UpstreamError."""
        account = self._account(server, key.get_secret_value())
        if not account.fresh(refused):
            async with account.lock:
                if not account.fresh(refused):
                    await self._obtain(account, refused)
        return account.token

    def _account(self, server: str, key: str) -> _Account:
        name = hashlib.sha256(f"{server} {key}".encode()).hexdigest()[:24]
        if name not in self._accounts:
            api_key, colon, secret_key = key.partition(":")
            if not colon:
                raise UpstreamError(
                    "upstream_refused", "an ERNIE key is `<API key>:<secret key>`", faulty=False
                )
            self._accounts[name] = _Account(name, server, api_key, secret_key)
        return self._accounts[name]

    async def _obtain(self, account: _Account, refused: str) -> None:
        try:
            if self._seal and await self._share(account, self._seal, refused):
                return
        except StoreUnavailable as error:
            logger.warning("could not share an access token", extra={"error": error.reason})
        await self._ask(account)

    async def _share(self, account: _Account, seal: SecretBox, refused: str) -> bool:
        """Return the token from the store, or fetch one into the store unless another worker does so now."""
        asked = keys.token_asked(account.name)
        give_up_s = time.monotonic() + _ASK_S
        while time.monotonic() < give_up_s:
            pipe = self._stores.queue.pipeline(transaction=False)
            pipe.set(asked, b"1", nx=True, px=int(_ASK_S * 1000))
            pipe.get(keys.token(account.name))
            pipe.pttl(keys.token(account.name))
            mine, sealed, ms = await pipe.execute()
            try:
                token = seal.decrypt(sealed) if sealed else None
                if token and token != refused:
                    account.token, account.until_s = token, time.monotonic() + ms / 1000
                    return True
                if mine:
                    ms = int(await self._ask(account) * 1000)
                    if ms > 0:
                        sealed = seal.encrypt(account.token)
                        await self._stores.queue.set(keys.token(account.name), sealed, px=ms)
                    return True
            finally:
                if mine:
                    with contextlib.suppress(StoreUnavailable):
                        await self._stores.queue.delete(asked)
            await asyncio.sleep(_LOOK_S)
        return False

    async def _ask(self, account: _Account) -> float:
        """Fetch a new token; return for how many seconds to keep it."""
        login = {
            "grant_type": "client_credentials",
            "client_id": account.api_key,
            "client_secret": account.secret_key,
        }
        with network_errors():
            url = f"{account.server}/oauth/2.0/token"
            async with (
                asyncio.timeout(_ASK_S),
                self._client.stream("POST", url, params=login, timeout=_ASK_S) as response,
            ):
                if response.status_code != 200:
                    raise refusal(response.status_code, response.headers)
                content = await whole(response)
        try:
            answer: dict[str, Any] = orjson.loads(content)
            token, life_s = str(answer["access_token"]), min(float(answer["expires_in"]), _LONGEST_S)
            if not life_s >= 0:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise garbled() from None
        kept_s = life_s - min(_EARLY_S, life_s / 10)
        account.token, account.until_s = token, time.monotonic() + kept_s
        return kept_s
