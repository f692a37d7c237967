"""Closed sets of words that facts, state and effects share. Their numbers are stored: add, never renumber."""

from enum import IntEnum, IntFlag, StrEnum


class Commodity(IntEnum):
    """What a meter measures; registers are in Wh for electricity and in litres for water."""

    ELECTRICITY = 0
    WATER = 1


class Supply(IntEnum):
    """Whether electricity or water can flow: a relay that is closed, or a valve that is open, is ON."""

    UNKNOWN = 0
    OFF = 1
    ON = 2


class Reason(IntEnum):
    """Why the machine wants the supply as it does; a higher row of `flows/supply/wishes.py` wins."""

    IN_CREDIT = 0
    ARREARS = 1
    FORCED = 2
    PROTECTED = 3
    SAFETY = 4
    LOAD = 5
    SCHEDULE = 6
    NO_TRIP = 7
    CLOSED = 8


class Status(IntFlag):
    """Status bits of a reading, in our own order whatever the meter's."""

    SUPPLY_KNOWN = 1
    SUPPLY_ON = 2
    FORCED = 4
    FAULT = 8
    LOW_BATTERY = 16
    METER_ARREARS = 32


class Metering(IntEnum):
    """Class of a reading. Those of QUARANTINED are neither charged nor forgotten; VACANT ones nobody pays for."""

    FIRST = 0
    NORMAL = 1
    DUPLICATE = 2
    LATE = 3
    ROLLOVER = 4
    DECREASE = 5
    JUMP = 6
    CONFLICT = 7
    OUT_OF_RANGE = 8
    UNKNOWN_METER = 9
    FUTURE = 10
    UNREADABLE = 11
    VACANT = 12


QUARANTINED = frozenset(
    {
        Metering.DECREASE,
        Metering.JUMP,
        Metering.CONFLICT,
        Metering.OUT_OF_RANGE,
        Metering.UNKNOWN_METER,
        Metering.FUTURE,
        Metering.UNREADABLE,
    }
)


class AccountState(IntEnum):
    """Where an account is in its life. Usage is charged while it is OPEN."""

    OPEN = 0
    PREPARED = 1
    CLOSED = 2


class Settlement(StrEnum):
    """What becomes of a balance when a tenant goes: paid out, paid in, given up, or left to the next one."""

    REFUND = "refund"
    PAY_UP = "pay_up"
    WRITE_OFF = "write_off"
    CARRY = "carry"


class Decision(StrEnum):
    """What a person says about the readings of a quarantine case."""

    ACCEPT = "accept"
    REBASELINE = "rebaseline"
    DISCARD = "discard"


class Level(IntEnum):
    """How low a balance is. A level includes those before it."""

    NONE = 0
    LOW = 1
    PRETRIP = 2
    ARREARS = 3
    LIMIT = 4


class Ledger(IntEnum):
    """Accounts of the double-entry ledger. CASH is money by channels that have no account of their own."""

    CASH = 1
    CUSTOMER = 2
    REVENUE_ELECTRICITY = 3
    REVENUE_WATER = 4
    ADJUSTMENTS = 5
    ALLOWANCES = 6
    ROUNDING = 7
    REVENUE_PROPERTY = 8
    REVENUE_RENT = 9
    REVENUE_SERVICE = 10
    REVENUE_OTHER = 11
    WRITE_OFFS = 12
    CASH_COUNTER = 16
    CASH_WECHAT = 17
    CASH_ALIPAY = 18
    CASH_CARD = 19
    CASH_BANK = 20


CASH_BY_CHANNEL = {
    "counter": Ledger.CASH_COUNTER,
    "wechat": Ledger.CASH_WECHAT,
    "alipay": Ledger.CASH_ALIPAY,
    "card": Ledger.CASH_CARD,
    "bank": Ledger.CASH_BANK,
}
"""Where an order's money goes or comes from, by its `channel`; any other channel is Ledger.CASH."""

UNITS = {Commodity.ELECTRICITY: "kWh", Commodity.WATER: "m³"}
"""What a thousand Wh or litres are called."""

RATED_PER_HOUR = {Commodity.ELECTRICITY: 50_000, Commodity.WATER: 10_000}
"""Wh and litres: more in an hour is a jump, for meters of which nothing else is known."""

REVENUE = {Commodity.ELECTRICITY: Ledger.REVENUE_ELECTRICITY, Commodity.WATER: Ledger.REVENUE_WATER}


class AllowanceKind(IntEnum):
    """What is free in a month: money, or energy of one commodity (FIRST_COMMODITY + words.Commodity)."""

    NONE = 0
    MONEY = 1
    ELECTRICITY = 2
    WATER = 3


class ItemKind(StrEnum):
    """What a charge item is for; each has revenue of its own."""

    PROPERTY = "property"
    RENT = "rent"
    SERVICE = "service"
    OTHER = "other"


class Period(StrEnum):
    """How often a charge item falls due."""

    ONCE = "once"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


ITEM_REVENUE = {
    ItemKind.PROPERTY: Ledger.REVENUE_PROPERTY,
    ItemKind.RENT: Ledger.REVENUE_RENT,
    ItemKind.SERVICE: Ledger.REVENUE_SERVICE,
    ItemKind.OTHER: Ledger.REVENUE_OTHER,
}


class Stage(StrEnum):
    """How far a command has come. Only VERIFIED says that the supply was read back as wanted."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class AlarmState(StrEnum):
    """Life of an alarm: raised once, repeated a stated number of times, cleared once. A notice is only NOTED."""

    RAISED = "raised"
    REPEATED = "repeated"
    CLEARED = "cleared"
    NOTED = "noted"


class AlarmKind(StrEnum):
    """What an alarm is about."""

    BALANCE_LOW = "balance_low"
    BALANCE_PRETRIP = "balance_pretrip"
    BALANCE_ARREARS = "balance_arrears"
    BALANCE_LIMIT = "balance_limit"
    MONEY_ARRIVED = "money_arrived"
    QUARANTINE = "quarantine"
    DAY_USAGE = "day_usage"
    MONTH_USAGE = "month_usage"
    OFFLINE = "offline"
    STUCK = "stuck"
    REVERSE_FLOW = "reverse_flow"
    NIGHT_FLOW = "night_flow"
    LINE_LOSS = "line_loss"
    PURCHASE_COUNT_MISMATCH = "purchase_count_mismatch"
    COMMAND_FAILED = "command_failed"
    LOAD_LIMIT = "load_limit"
    MALIGNANT_LOAD = "malignant_load"
    USE_WHILE_TRIPPED = "use_while_tripped"
    CLOCK_DRIFT = "clock_drift"


CUT_ALARM = {Reason.SAFETY: AlarmKind.MALIGNANT_LOAD, Reason.LOAD: AlarmKind.LOAD_LIMIT}
"""What is said when a supply is cut for its load."""

LEVEL_ALARM = {
    Level.LOW: AlarmKind.BALANCE_LOW,
    Level.PRETRIP: AlarmKind.BALANCE_PRETRIP,
    Level.ARREARS: AlarmKind.BALANCE_ARREARS,
    Level.LIMIT: AlarmKind.BALANCE_LIMIT,
}


class Watched(IntFlag):
    """What of a watched meter is worth an alarm."""

    DAY_USAGE = 1
    MONTH_USAGE = 2
    OFFLINE = 4
    STUCK = 8
    REVERSE_FLOW = 16
    NIGHT_FLOW = 32


WATCHED_ALARM = {
    Watched.DAY_USAGE: AlarmKind.DAY_USAGE,
    Watched.MONTH_USAGE: AlarmKind.MONTH_USAGE,
    Watched.OFFLINE: AlarmKind.OFFLINE,
    Watched.STUCK: AlarmKind.STUCK,
    Watched.REVERSE_FLOW: AlarmKind.REVERSE_FLOW,
    Watched.NIGHT_FLOW: AlarmKind.NIGHT_FLOW,
}


class Severity(StrEnum):
    """How much an alarm matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


SEVERITY = {
    AlarmKind.BALANCE_LOW: Severity.WARNING,
    AlarmKind.BALANCE_PRETRIP: Severity.WARNING,
    AlarmKind.BALANCE_ARREARS: Severity.CRITICAL,
    AlarmKind.BALANCE_LIMIT: Severity.CRITICAL,
    AlarmKind.MONEY_ARRIVED: Severity.INFO,
    AlarmKind.QUARANTINE: Severity.CRITICAL,
    AlarmKind.DAY_USAGE: Severity.WARNING,
    AlarmKind.MONTH_USAGE: Severity.WARNING,
    AlarmKind.OFFLINE: Severity.WARNING,
    AlarmKind.CLOCK_DRIFT: Severity.WARNING,
    AlarmKind.LINE_LOSS: Severity.WARNING,
    AlarmKind.PURCHASE_COUNT_MISMATCH: Severity.CRITICAL,
    AlarmKind.STUCK: Severity.WARNING,
    AlarmKind.REVERSE_FLOW: Severity.WARNING,
    AlarmKind.NIGHT_FLOW: Severity.WARNING,
    AlarmKind.COMMAND_FAILED: Severity.CRITICAL,
    AlarmKind.LOAD_LIMIT: Severity.WARNING,
    AlarmKind.MALIGNANT_LOAD: Severity.CRITICAL,
    AlarmKind.USE_WHILE_TRIPPED: Severity.CRITICAL,
}


class Refusal(StrEnum):
    """Why an order or a setting was not carried out. Earlier members win over later ones."""

    BAD_ID = "bad_id"
    EXISTS_WITH_DIFFERENT_CONTENT = "exists_with_different_content"
    TOO_OLD = "too_old"
    ID_FROM_THE_FUTURE = "id_from_the_future"
    UNREADABLE = "unreadable"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_METER = "unknown_meter"
    UNKNOWN_TARIFF = "unknown_tariff"
    UNKNOWN_POLICY = "unknown_policy"
    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_CASE = "unknown_case"
    WRONG_COMMODITY = "wrong_commodity"
    WRONG_CURRENCY = "wrong_currency"
    TARIFF_INVALID = "tariff_invalid"
    TERMS_INVALID = "terms_invalid"
    ALREADY_REVERSED = "already_reversed"
    ACCOUNT_OPEN = "account_open"
    ACCOUNT_CLOSED = "account_closed"
    METER_REMOVED = "meter_removed"
    REGISTER_NOT_BELIEVED = "register_not_believed"
    METERS_NOT_READ = "meters_not_read"
    METER_HAS_NO_SWITCH = "meter_has_no_switch"
    NOTE_MISSING = "note_missing"
    AMOUNT_IS_ZERO = "amount_is_zero"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_TOO_LARGE = "amount_too_large"
    ABOVE_MAX_BALANCE = "above_max_balance"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    BALANCE_NOT_SETTLED = "balance_not_settled"
    ALREADY_EXPIRED = "already_expired"
    DECISION_NOT_POSSIBLE = "decision_not_possible"
    CORRECTION_TOO_LARGE = "correction_too_large"


class Check(StrEnum):
    """What a verification holds against what (docs/verify.md)."""

    LOG = "log"
    CHAIN = "chain"
    TRIAL_BALANCE = "trial_balance"
    LEDGER = "ledger"
    ENERGY = "energy"
    ORDERS = "orders"
    STATE = "state"
    EFFECTS = "effects"
    AUDIT = "audit"
