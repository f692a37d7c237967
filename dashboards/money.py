"""Money: what came, what was charged for what, how wallets stand, and who is about to be cut. Amounts are for looking: the ledger counts exactly."""

from dashboards.panels import Board, Colour, Kind, Panel, Query, Row, Steps, Text, below
from dashboards.promql import RANGE, SITE, grown, less, state

PAGE = "dashboards.md#money"
OWED: Steps = ((None, Colour.GOOD), (0.01, Colour.WATCH))
LEVELS = (
    ("none", Colour.GOOD),
    ("low", Colour.WATCH),
    ("pretrip", Colour.WARN),
    ("arrears", Colour.BAD),
    ("limit", Colour.WORST),
)
CASH, USAGE, REVENUE = "cash.*", "revenue_(electricity|water)", "revenue_.*"
BORNE = "allowances|adjustments|write_offs"


def _debited(ledgers: str, window: str = "1h", by: str = "ledger, currency") -> str:
    return grown("ledger_debited_money_total", f'ledger=~"{ledgers}"', by=by, window=window)


def _credited(ledgers: str, window: str = "1h", by: str = "ledger, currency") -> str:
    return grown("ledger_credited_money_total", f'ledger=~"{ledgers}"', by=by, window=window)


NOW = Row(
    Text("现在", "Now"),
    (
        Panel(
            Text("预付余额", "Credit"),
            Text("所有正余额之和：已付未用的钱。", "Sum of the balances above 0: what is paid and not used."),
            "locale", PAGE,
            (Query(state("credit_money", SITE, by="currency"), "{{currency}}"),),
            kind=Kind.NUMBER, width=4, height=4, decimals=2,
        ),
        Panel(
            Text("欠费", "Arrears"),
            Text("所有负余额之和：已用未付的钱。", "Sum of the balances below 0, as a number above 0: what is used and not paid."),
            "locale", PAGE,
            (Query(state("arrears_money", SITE, by="currency"), "{{currency}}"),),
            kind=Kind.NUMBER, steps=OWED, width=4, height=4, decimals=2,
        ),
        Panel(
            Text("充值", "Recharged"),
            Text("所示时间内到账的钱，所有项目；由采样估算，确数见接口 /finance/income。", "Money that came in the time shown, of all sites; estimated from samples: GET /finance/income is exact."),
            "locale", PAGE,
            (Query(_debited(CASH, RANGE, "currency"), "{{currency}}"),),
            kind=Kind.NUMBER, width=4, height=4, decimals=2,
        ),
        Panel(
            Text("用量计费", "Usage charged"),
            Text("所示时间内收取的电费和水费，所有项目，减去退还的。", "Electricity and water charged in the time shown, of all sites, less what was given back."),
            "locale", PAGE,
            (Query(less(_credited(USAGE, RANGE, "currency"), _debited(USAGE, RANGE, "currency")), "{{currency}}"),),
            kind=Kind.NUMBER, width=4, height=4, decimals=2,
        ),
        Panel(
            Text("欠费断电户", "Cut for arrears"),
            Text("因欠费被断开的账户。", "Accounts cut for arrears."),
            "locale", PAGE,
            (Query(state("accounts_tripped", SITE), "accounts"),),
            kind=Kind.NUMBER, steps=below(1, 50), width=4, height=4,
        ),
        Panel(
            Text("一天内将用完", "Gone within a day"),
            Text("照现在用法，钱在一天内用完、尚未断开的账户；是估计。", "Accounts not yet cut whose money, as their meters use it, is gone within a day: an estimate."),
            "locale", "runbooks/many-run-down.md",
            (Query(state("accounts_running_down", SITE, 'days="1"'), "accounts"),),
            kind=Kind.NUMBER, steps=below(1, 50), width=4, height=4,
        ),
    ),
)  # fmt: skip
WALLETS = Row(
    Text("钱包", "Wallets"),
    (
        Panel(
            Text("钱包等级", "Wallets by level"),
            Text("开户账户按已达到的最深告警等级：正常、余额不足、预跳闸、欠费、赊欠上限。", "Open accounts by the deepest balance level that they have reached: none, low, pretrip, arrears, limit."),
            "locale", PAGE,
            (Query(state("accounts", SITE, by="level"), "{{level}}"),),
            stacked=True, colours=LEVELS,
        ),
        Panel(
            Text("预计断电", "Projected trips"),
            Text("照现在用法，钱在 1、3、7 天内用完的账户，天数累计。", "Accounts whose money, as their meters use it, is gone within 1, 3 and 7 days; those of 1 are among those of 3."),
            "locale", "runbooks/many-run-down.md",
            (Query(state("accounts_running_down", SITE, by="days"), "≤ {{days}} d"),),
        ),
        Panel(
            Text("各项目欠费", "Arrears by site"),
            Text("负余额之和，按项目。", "Sum of the balances below 0, by site."),
            "locale", PAGE,
            (Query(state("arrears_money", SITE, by="site, currency"), "{{site}} {{currency}}"),),
            steps=OWED, decimals=2,
        ),
        Panel(
            Text("各项目预付余额", "Credit by site"),
            Text("正余额之和，按项目。", "Sum of the balances above 0, by site."),
            "locale", PAGE,
            (Query(state("credit_money", SITE, by="site, currency"), "{{site}} {{currency}}"),),
            width=12, decimals=2,
        ),
        Panel(
            Text("各项目断电户", "Cut for arrears by site"),
            Text("因欠费被断开的账户，按项目。", "Accounts cut for arrears, by site."),
            "locale", PAGE,
            (Query(state("accounts_tripped", SITE, by="site"), "{{site}}"),),
            steps=below(1, 50), width=12,
        ),
    ),
)  # fmt: skip
INCOME = Row(
    Text("收入（所有项目）", "Income of all sites"),
    (
        Panel(
            Text("渠道充值", "Recharges by channel"),
            Text("每小时到账的钱，按渠道。", "Money that came in an hour, by channel."),
            "locale", PAGE,
            (Query(_debited(CASH), "{{ledger}} {{currency}}"),),
            decimals=2, stacked=True,
        ),
        Panel(
            Text("收入构成", "Income composition"),
            Text("每小时收取的电费、水费和各项收费，减去退还的。", "Charged in an hour for electricity, water and fees, less what was given back."),
            "locale", PAGE,
            (Query(less(_credited(REVENUE), _debited(REVENUE)), "{{ledger}} {{currency}}"),),
            decimals=2, stacked=True,
        ),
        Panel(
            Text("所示时间收入构成", "Income in the time shown"),
            Text("所示时间内收取的，按项目科目。", "What was charged in the time shown, by account of the ledger."),
            "locale", PAGE,
            (Query(less(_credited(REVENUE, RANGE), _debited(REVENUE, RANGE)), "{{ledger}} {{currency}}"),),
            kind=Kind.BARS, decimals=2,
        ),
        Panel(
            Text("退费", "Refunds"),
            Text("每小时付出去的钱，按渠道。", "Money that was paid out in an hour, by channel."),
            "locale", PAGE,
            (Query(f"{_credited(CASH)} or {_debited(CASH)} * 0", "{{ledger}} {{currency}}"),),
            decimals=2, width=12,
        ),
        Panel(
            Text("补助、调整、核销", "Allowances, adjustments, write-offs"),
            Text("每小时由我们承担的钱：免费额度、人工调整、核销，减去收回的。", "Money that we bore in an hour: allowances, adjustments and write-offs, less what was taken back."),
            "locale", PAGE,
            (Query(less(_debited(BORNE), _credited(BORNE)), "{{ledger}} {{currency}}"),),
            decimals=2, width=12,
        ),
    ),
)  # fmt: skip

MONEY = Board(
    "money",
    Text("钱", "Money"),
    Text(
        "到账多少，收了什么钱，钱包怎样，谁快要断电。数字供查看；记账以总账为准。",
        "What came, what was charged for what, how wallets stand, and who is about to be cut. The figures are for looking: the ledger counts exactly.",
    ),
    (NOW, WALLETS, INCOME),
)
