"""What can go wrong between us and the server.

StoreError
├── StoreUnreachable    no connection, or none in time: nothing is known of the last write
├── StoreRefused        the server said no: out of memory, no permission, wrong password
├── MovedOn             a commit found another position: somebody else writes this shard
└── StoreMismatch       the store was made with other settings, or by a later release
"""


class StoreError(Exception):
    """Base of every error of this connector."""


class StoreUnreachable(StoreError):  # noqa: N818 - named for what is the case
    """No connection, or no answer in time. A write may or may not have happened."""


class StoreRefused(StoreError):  # noqa: N818 - as above
    """The server refused."""


class MovedOn(StoreError):  # noqa: N818 - as above
    """The shard's position is not the one that the batch started from."""


class StoreMismatch(StoreError):  # noqa: N818 - as above
    """The store does not fit this process."""
