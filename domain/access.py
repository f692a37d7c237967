"""Who may do what: people and programs, their roles, and the accounts that they reach. None of it is derived from the log."""

from enum import StrEnum

import msgspec

from domain.facts import RefundOrdered
from domain.state import AccountRecord


class Scope(StrEnum):
    """What a door asks of whoever wants to pass it."""

    READ = "read"
    RECHARGE = "recharge"
    REFUND = "refund"
    CONTROL = "control"
    DECIDE = "decide"
    MANAGE = "manage"
    APPROVE = "approve"
    ACCESS = "access"
    AUDIT = "audit"
    INGEST = "ingest"


class Role(StrEnum):
    """What somebody is here for."""

    ADMIN = "admin"
    OPERATOR = "operator"
    FINANCE = "finance"
    VIEWER = "viewer"
    TENANT = "tenant"
    DEVICE = "device"


SCOPES: dict[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.OPERATOR: frozenset({Scope.READ, Scope.RECHARGE, Scope.REFUND, Scope.CONTROL, Scope.DECIDE, Scope.MANAGE}),
    Role.FINANCE: frozenset({Scope.READ, Scope.RECHARGE, Scope.REFUND, Scope.APPROVE}),
    Role.VIEWER: frozenset({Scope.READ}),
    Role.TENANT: frozenset({Scope.READ}),
    Role.DEVICE: frozenset({Scope.INGEST}),
}
"""Every role's scopes. A tenant's reach is to be its own accounts; a device is a gateway that pushes readings, and learns nothing."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts that somebody may know of: those of some sites and some by name, or everything. By itself: none."""

    sites: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    everything: bool = False

    def has(self, record: AccountRecord) -> bool:
        """Whether an account is within."""
        return self.everything or record.account in self.accounts or record.place.site in self.sites


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signs in. `password`: an argon2id hash. Times in ms UTC.

    `changed_at`: when somebody else last changed what this person may do or signs in by; 0: never since `made_at`.
    """

    login: str
    name: str
    password: str
    role: Role
    reach: Reach
    made_at: int
    made_by: str
    disabled: bool = False
    changed_at: int = 0


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller shows. `secret`: SHA-256 of its secret part, which is random and so long that nobody guesses it.

    `person`: a session of that person, whose role and reach hold as they are now; "": a program's own, with `role` and `reach`.
    `expires_at`: ms UTC, 0: never.
    """

    id: str
    secret: bytes
    name: str
    role: Role
    reach: Reach
    made_at: int
    made_by: str
    expires_at: int = 0
    person: str = ""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks: `name` is a person's login, `token:ID` of a program, or `root` of the secret that the API was started with.

    `since`: ms UTC of when somebody last made or changed this person or token; 0: never. `made_by`: who made a program's token; "" of others.
    """

    name: str
    role: Role
    reach: Reach
    token: str = ""
    since: int = 0
    made_by: str = ""

    @property
    def is_person(self) -> bool:
        """Whether it is somebody who signed in, and no program or the secret that the API was started with."""
        return bool(self.token) and not self.name.startswith("token:")

    @property
    def scopes(self) -> frozenset[Scope]:
        """What it may do."""
        return SCOPES[self.role]


ROOT = Caller(name="root", role=Role.ADMIN, reach=Reach(everything=True))
"""Whoever has the secret that the API was started with: makes the first people and tokens."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An order that waits for a second person: what was asked, by whom, and when (ms UTC). Kept by the order's id.

    `kind`: of the fact that it becomes; `terms`: what that fact says besides, by its field. `amount_micros`: what it was about when it was asked for.
    `asked_since`, `asked_made_by`: as of the `Caller` who asked.
    """

    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str
    note: str
    asked_by: str
    asked_at: int
    kind: str = RefundOrdered.KIND
    terms: dict[str, str | bool] = {}
    asked_since: int = 0
    asked_made_by: str = ""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has seen what an alarm (`domain.standing.alarm_key`) has said until `until`, ms UTC of event time. `at`: ms UTC of the server."""

    alarm: str
    until: int
    by: str
    at: int
    note: str = ""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to change something, or one that was denied. `at`: ms UTC of the server. `caller` "": nobody that we know.

    `path` as asked, without its query. Never what was in a body or a header.
    """

    at: int
    caller: str
    method: str
    path: str
    status: int
    client: str
    request: str
