"""Names in Redis: every key with its type, content and lifetime."""

import hashlib
from urllib.parse import quote

from common.names import CollectionRef, JobRef, Lane, SessionRef, TurnRef

# On the log server.


def log(session: SessionRef) -> str:
    """Stream: one entry an event. Expires `retention_s` after the last turn's start."""
    return f"fr:{{{session}}}:log"  # braces: one cluster slot a session


def idempotency(session: SessionRef, key: str) -> str:
    """String: which turn an idempotency key stands for, and of what request. Expires with the log at most."""
    return f"fr:{{{session}}}:once:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def documents(collection: CollectionRef) -> str:
    """Hash: a collection's documents in JSON, by id. Stays until they are deleted."""
    return f"fr:knowledge:{{{collection}}}:documents"


def document_ids(collection: CollectionRef) -> str:
    """Sorted set: the same ids, all with score 0, to be paged in order. Stays as long."""
    return f"fr:knowledge:{{{collection}}}:ids"


def document_failures(collection: CollectionRef) -> str:
    """Hash: why a document's text can't be searched, by id. Stays until it is put or deleted."""
    return f"fr:knowledge:{{{collection}}}:failed"


def document_changes(collection: CollectionRef) -> str:
    """Stream: ids of documents that were put or deleted, for followers. Kept at about 10,000."""
    return f"fr:knowledge:{{{collection}}}:changes"


PROBE = "fr:probe"
"""String: empty; on both servers, to see whether they can be written to. Expires after a second."""

# On the queue server.

COLLECTIONS = "fr:knowledge"
"""Set: every collection that ever had a document, `<tenant>:<collection>`. Members go with their tenant."""

TENANTS = "fr:tenants"
"""Hash: every tenant in JSON, by id, its secrets sealed. Stays until the tenant is deleted."""

TENANTS_VERSION = "fr:tenants:version"
"""String: a number that grows with every change of tenants or keys. Once there, it stays."""

API_KEYS = "fr:tenants:keys"
"""Hash: every API key in JSON, by its id; of the key itself a digest. Stays until it is deleted."""

SIGNATURES = "fr:tenants:signatures"
"""Hash: the signature of every tenant and key, by `tenants:<id>` and `keys:<id>`. Goes with what it signs."""

TENANTS_GONE = "fr:tenants:gone"
"""Set: deleted tenants whose sessions and documents are still there. Members go with the last of them."""

KEPT = "fr:kept"
"""Set: tenants that have, or had, sessions. A member goes only when its tenant is deleted."""

AUDIT = "fr:audit"
"""Stream: one entry an act of an operator or admin, see docs/tenants.md. Kept at about 100,000."""


def audit(tenant: str) -> str:
    """Stream: the same of one tenant. Kept at about 100,000, also when the tenant is deleted."""
    return f"fr:audit:{tenant}"


ACCESS = "fr:access"
"""Stream: reads, new tokens and refusals of all tenants. Kept at about 100,000."""


def access(tenant: str) -> str:
    """Stream: the same of one tenant."""
    return f"fr:access:{tenant}"


INDEXED = "fr:indexed"
"""String: says that the index has all sessions that there are. Stays; without it they are looked for."""

UNSETTLED = "fr:unsettled"
"""Sorted set: turns whose tokens are not accounted for, by when to look, ms. A turn is in it from its start,
and goes once, with its accounting.
"""

USED = "fr:usage"
"""Set: tenants that have, or had, usage. Members stay."""

REDACTING = "fr:redacting"
"""Sorted set: ended turns whose words must be masked or dropped, by when, ms. Members go when done."""

LEASES = "fr:leases"
"""Sorted set: live turns and jobs by the deadline of their lease, ms. Members go when they end."""

DEADLINES = "fr:deadlines"
"""Sorted set: live turns by when the sweep ends them, whatever their drivers do, ms. Members go then."""

FOLDING = "fr:folding"
"""Hash: `<count>:<ms>` by turn: so many died folding it or fold it now; `<turn>|sweep`, the sweep drives
it; `<turn>|lost`, how many replicas it has cost. Fields go with the fold's end, or the turn's.
"""

PARKED = "fr:parked"
"""Sorted set: `<tenant>|<turn>|<reason>`, turns that were given up, by when, ms. Kept at 1,000."""

SWEEPING = "fr:sweeping"
"""String: held by the worker that sweeps now. Expires after one sweep's period."""

REPLICAS = "fr:replicas"
"""Sorted set: ids of API replicas by the time of their last beat, ms. Old members are dropped by the beat."""

FOLLOWED = "fr:followed"
"""Sorted set: `<turn>|<replica>`, a client there follows this turn, by when that must be renewed, ms."""

TELLING = "fr:telling"
"""Sorted set: `<turn>|<attempt>`, ended turns whose webhook is not yet delivered, by when to try, ms."""

KEEPING = "fr:keeping"
"""String: held by the worker that archives, trims and deletes now, and for a while after. Expires."""


def telling(member: str) -> str:
    """String: the worker that tries this member of `TELLING` now. Goes after the try; expires after 55 s."""
    return f"fr:telling:{member}"


def redacting(session: SessionRef) -> str:
    """String: the worker that rewrites this session's log now. Goes after it; expires after 30 s."""
    return f"fr:redacting:{session}"


UPSTREAMS_BUSY = "fr:upstreams:busy"
"""Sorted set: upstreams that asked to be left alone, by until when, ms. Old members go with the next one."""

UPSTREAMS_BROKEN = "fr:upstreams:broken"
"""Sorted set: upstreams that failed, by from when one stream may try them, ms. A member goes when it answers,
or an hour later.
"""


def queue(lane: Lane) -> str:
    """Sorted set, arq's: ids of queued and running jobs. A job goes when it ends."""
    return f"fr:queue:{lane}"


def ready(lane: Lane, tenant: str) -> str:
    """List: ids of a tenant's jobs that wait to be picked up, in order. An id is popped once."""
    return f"fr:queue:{lane}:ready:{tenant}"


def waiting(lane: Lane) -> str:
    """Sorted set: tenants with waiting jobs, by since when, or by when one was last picked up, ms."""
    return f"fr:queue:{lane}:waiting"


def hints(lane: Lane) -> str:
    """List: empty strings that wake workers, about one for each waiting job. Popped by runners."""
    return f"fr:queue:{lane}:hints"


def running(lane: Lane, tenant: str) -> str:
    """Sorted set: a tenant's jobs that hold a slot, by their lease's deadline, ms; lapsed ones for a day."""
    return f"fr:queue:{lane}:running:{tenant}"


def taken(taker: str) -> str:
    """String: the jobs that a runner's last call picked up, if its reply is lost. Expires after a minute."""
    return f"fr:taken:{taker}"


def cancelled(job: JobRef) -> str:
    """String: says that this job is to stop. Expires after 30 s."""
    return f"fr:cancelled:{job}"


def workers(lane: Lane) -> str:
    """Sorted set: `<worker>|<slots>` by the time of its last beat, ms. Old members go with the next beat."""
    return f"fr:workers:{lane}"


def pace(tenant: str, profile: str) -> str:
    """List: the full model's latest first-token times, ms, the newest first. Kept at 50."""
    return f"fr:pace:{tenant}:{quote(profile, safe='')}"


def audio(turn: TurnRef) -> str:
    """Stream: a turn's speech, see `common/speech/stream.py`. It expires after a minute."""
    return f"fr:audio:{turn}"


def upstream_streams(upstream: str) -> str:
    """Sorted set: the streams that an upstream with a limit has now, by the deadline of their lease, ms."""
    return f"fr:upstream:{upstream}:streams"


def upstream_failures(upstream: str) -> str:
    """String: how often an upstream has failed running. Expires a window after the first of these."""
    return f"fr:upstream:{upstream}:failures"


def upstream_trial(upstream: str) -> str:
    """String: one stream is probing whether a broken upstream answers again. Expires by itself."""
    return f"fr:upstream:{upstream}:trial"


def token(account: str) -> str:
    """String, sealed: an account's access token. Expires a little before the token does."""
    return f"fr:token:{account}"


def token_asked(account: str) -> str:
    """String: a worker is asking for an account's access token now. Expires by itself."""
    return f"fr:token:{account}:asked"


def auth(turn: TurnRef) -> str:
    """String, sealed: the request's credentials for the models' servers. Goes when the turn ends."""
    return f"fr:auth:{turn}"


def full_only(tenant: str) -> str:
    """String: while it is there, no draft of this tenant speaks. Stays until it is taken back."""
    return f"fr:full-only:{tenant}"


def sessions(tenant: str) -> str:
    """Sorted set: all sessions, archived ones too, quoted, by the start of their last turn, ms.

    A session that is not in it doesn't exist, whatever else is found of it.
    Members go when their time is over.
    """
    return f"fr:sessions:{tenant}"


def live_turns(tenant: str) -> str:
    """Sorted set: turns that have not ended, by their start, ms."""
    return f"fr:live:{tenant}"


def turn_starts(tenant: str) -> str:
    """Sorted set: the turns admitted in the last minute, by when, ms. Expires after a minute."""
    return f"fr:turn-starts:{tenant}"


def reserved(tenant: str) -> str:
    """Hash: `<day>:<tokens>` that an unsettled turn may use, by turn. A turn's goes when it is settled."""
    return f"fr:reserved:{tenant}"


def tokens(tenant: str, day: str) -> str:
    """Hash: how many tokens are `spent` and `reserved` on a day, `YYYYMMDD` (UTC). Expires two days later."""
    return f"fr:tokens:{tenant}:{day}"


def kept_bytes(tenant: str) -> str:
    """Hash: about how many bytes each session's log has, by session, quoted; their sum under an empty name.

    Expires a day after all of them have, 30 where they go to an archive.
    """
    return f"fr:bytes:{tenant}"


def kept_until(tenant: str) -> str:
    """Sorted set: the same sessions by when their logs are gone, ms. Expires as the hash."""
    return f"fr:bytes:{tenant}:until"


def held_bytes(tenant: str) -> str:
    """Hash: the bytes reserved for an unsettled turn, by turn. A turn's goes when it is settled."""
    return f"fr:bytes:{tenant}:held"


def usage(tenant: str, day: str) -> str:
    """Hash: `<profile>|<counter>` to a number, of the turns that started on a day, `YYYYMMDD` in UTC.

    Expires after `usage_days`.
    """
    return f"fr:usage:{tenant}:{day}"


def deleted(tenant: str) -> str:
    """Sorted set: deleted sessions, quoted, by when, ms of the log's clock. Events up to then are void.

    Members are dropped a day later, with whatever may have been left of them.
    """
    return f"fr:deleted:{tenant}"


def archived_until(tenant: str) -> str:
    """String: sessions whose last turn started before this, ms, are archived; where to look on."""
    return f"fr:archived-until:{tenant}"


# Channels, on the queue server.

KNOWLEDGE_CHANGED = "fr:knowledge:changed"
"""Channel: the collection, `<tenant>:<collection>`, in which documents were put or deleted."""


def wake(session: SessionRef) -> str:
    """Channel: something was appended to the session's log; `DELETED` says that the session is gone."""
    return f"fr:wake:{session}"


DELETED = b"deleted"


def spoke(turn: TurnRef) -> str:
    """Channel: something was appended to the turn's speech."""
    return f"fr:spoke:{turn}"


def orders(worker: str) -> str:
    """Channel: ids of jobs that this worker must stop."""
    return f"fr:orders:{worker}"
