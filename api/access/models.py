"""What callers write and read about people, tokens and what was attempted. No answer has a password or a secret, but the one that makes it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.doors.security import check_password
from api.models import Money, Time, Write, shown
from domain.access import Role, Scope
from domain.ids import account_id

Login = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$", examples=["li.wei"])]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Password = Annotated[str, AfterValidator(check_password), Field(max_length=200, description="At least 12 characters.")]
Sites = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=1000, strict=False)]
Accounts = Annotated[tuple[Annotated[str, AfterValidator(account_id)], ...], Field(max_length=1000, strict=False)]
RoleWord = Annotated[Role, Field(strict=False)]


class SignIn(Write):
    """A person's login and password."""

    model_config = shown({"login": "li.wei", "password": "four words in order"})

    login: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=200)]


class PersonWrite(Write):
    """A person who is to be known, and what is within reach: accounts of sites, accounts by name, or everything."""

    model_config = shown(
        {
            "login": "li.wei",
            "name": "Li Wei",
            "password": "four words in order",
            "role": "operator",
            "sites": ["Garden"],
        }
    )

    login: Login
    name: Name
    password: Password
    role: RoleWord
    sites: Sites = ()
    accounts: Accounts = ()
    everything: bool = False


class PersonChange(Write):
    """What is to be otherwise about a person; what is left out stays."""

    model_config = shown({"disabled": True})

    name: Name | None = None
    password: Password | None = None
    role: RoleWord | None = None
    sites: Sites | None = None
    accounts: Accounts | None = None
    everything: bool | None = None
    disabled: bool | None = None


class PasswordChange(Write):
    """One's own password."""

    model_config = shown({"old": "four words in order", "new": "four others, also in order"})

    old: Annotated[str, Field(max_length=200)]
    new: Password


class TokenWrite(Write):
    """A token for a program, and what is within its reach, as of a person. `days`: until it expires; 0: never."""

    model_config = shown({"name": "shop", "role": "operator", "sites": ["Garden"], "days": 365})

    name: Name
    role: RoleWord
    sites: Sites = ()
    accounts: Accounts = ()
    everything: bool = False
    days: Annotated[int, Field(ge=0, le=3660)] = 365


class ApprovalOrder(Write):
    """A second person's word on an order that waits."""

    model_config = shown({"decision": "approve", "note": "seen the contract"})

    decision: Literal["approve", "reject"]
    note: Annotated[str, Field(max_length=500)] = ""


class ApprovalRead(BaseModel):
    """An order that waits for a second person. `amount`: what it is about; of a settlement, the balance when it was asked for or looked at last."""

    id: str
    kind: str
    account: str
    amount: Money
    currency: str
    channel: str
    note: str
    asked_by: str
    asked_at: Time


class PersonRead(BaseModel):
    """A person."""

    login: str
    name: str
    role: Role
    sites: list[str]
    accounts: list[str]
    everything: bool
    disabled: bool
    made_at: Time
    made_by: str


class TokenRead(BaseModel):
    """A token. `person`: whose session it is; null: a program's. `last_used_at`: to the minute."""

    id: str
    name: str
    role: Role
    sites: list[str]
    accounts: list[str]
    everything: bool
    person: str | None
    made_at: Time
    made_by: str
    expires_at: Time | None
    last_used_at: Time | None


class TokenMade(TokenRead):
    """A token that was just made. `token` is shown this once."""

    token: str


class Me(BaseModel):
    """Whoever asks."""

    name: str
    role: Role
    scopes: list[Scope]
    sites: list[str]
    accounts: list[str]
    everything: bool


class AuditRead(BaseModel):
    """An attempt to change something, or one that was denied. `caller` null: nobody that we know. `chain`: hex digest after it."""

    id: str
    at: Time
    caller: str | None
    method: str
    path: str
    status: int
    client: str
    request: str
    chain: str


class AuditPage(BaseModel):
    """Events, newest first. `next`: cursor of the page after this one."""

    events: list[AuditRead]
    next: str | None
