"""Names of keys. All keys of a shard share its hash tag, so a shard lives in one slot of a Redis Cluster."""

ALARM_CHANNEL = "alarms"
"""Where every alarm is published; those of a site that is known also on `alarm_channel(site)`."""
ALARM_MESSAGES = "alarm_messages"
"""Streams of alarms as they are published, for foreign programs; no part of the state, for the words of a message are a release's own."""
SITE = "meterline"
"""Hash of what is fixed when a store is made: `shards`, `format`."""
STORE_FORMAT = "3"
VERDICT = "verdict"
"""What the last verification came to (`domain.verdict.Verdict`)."""
PEOPLE, TOKENS, TOKEN_USES = "people:{access}", "tokens:{access}", "token_uses:{access}"
"""Hashes of who may come in (`domain.access`): people by login, tokens by id, and when each was used last, ms UTC."""
APPROVALS = "approvals:{access}"
"""Hash of the orders that wait for a second person (`domain.access.Approval`), by the 16 bytes of the order's id."""
ACKNOWLEDGEMENTS = "acknowledgements:{access}"
"""Hash of who has seen which alarm last (`domain.access.Acknowledgement`), by what the alarm is about."""
AUDIT, AUDIT_HEAD = "audit:{access}", "audit_head:{access}"
"""The stream of what was attempted (`domain.access.AuditEvent`), and the digest after its last event."""
EVERYONE, EVERYONE_LOCK = "everyone:{access}", "everyone_lock:{access}"
"""Hash of the order that was told last to every shard, by the name of what it sets; and who is telling now."""
BATCHES, BATCHES_DUE, BATCHES_MADE = "batches:{batches}", "batches_due:{batches}", "batches_made:{batches}"
"""Batches (`domain.batches.Batch`) by the 16 bytes of their ids; those that are not over, by when they are due, and all by when they were made."""
BATCH_ITEMS_KEPT = "batch_items_kept:{batches}"
"""How many items all kept batches have together."""

NOTIFIED, NOTICES, NOTICES_DUE = "notified:{notify}", "notices:{notify}", "notices_due:{notify}"
"""Of `meterline notify` (`connectors.redis.notices`): how far it has decided and who sends, notices by id, and those that wait by when they are due."""
NOTICES_DEAD, RATE_MARKS, DELIVERIES = "notices_dead:{notify}", "rate_marks:{notify}", "deliveries:{notify}"
"""Notices that were given up, by when; how much has been sent on each line; and the stream of what became of each notice."""

LISTED = (
    "account_records", "meter_records", "site_records", "cases", "open_commands", "forced", "controls", "used_while_off",
    "standing_alarms", "meter_clocks", "main_meters",
)  # fmt: skip
"""Kinds of records that a directory holds (`connectors.redis.directory`). A commit that changes any says which, in the stream `changed:{07}`."""

STREAMS = ("postings", "usage", "quarantined", "refused", "alarms", "commands", "outcomes")


def key(name: str, shard: int) -> str:
    """`state kind:{07}`."""
    return f"{name}:{{{shard:02d}}}"


def alarm_channel(site: str) -> str:
    """Where the alarms of one site are published, by its id: `alarms:Garden`."""
    return f"{ALARM_CHANNEL}:{site}"


def ledger_key(shard: int, account_row: int | str = "") -> str:
    """List of an account's packed postings, oldest first; an archiver keeps the newest. Without a row, what all of a shard begin with."""
    return f"ledger:{{{shard:02d}}}:{account_row}"


def alone_keys(caller: str) -> tuple[str, str]:
    """What a caller has ordered without a second person: ids by when, and the amount of each with their `sum`."""
    return f"alone:{{access}}:{caller}", f"alone_amounts:{{access}}:{caller}"


def window_key(name: str, who: str) -> str:
    """How often somebody has come (`connectors.redis.windows`); `who` is a digest."""
    return f"window_{name}:{{access}}:{who}"


def held_meter_key(number: int) -> str:
    """The order (its id) that a meter's number is held for while the machine decides it."""
    return f"held_meter:{number}"


def order_key(order: bytes) -> str:
    """The shard that an order's id (16 bytes) is used in: the one thing that shards must agree on before the log."""
    return f"order:{order.hex()}"


def told_key(order: bytes) -> str:
    """Mark of an order (16 bytes of its id) that has begun to be told to every shard."""
    return f"told:{{access}}:{order.hex()}"


def batch_key(name: str, batch: bytes) -> str:
    """`batch_targets`, `batch_items`, `batch_counts` or `batch_claim` of a batch (16 bytes of its id)."""
    return f"{name}:{{batches}}:{batch.hex()}"
