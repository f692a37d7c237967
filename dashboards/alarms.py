"""Alarms and control: what stands and what was said, how far commands have come, and why supplies are off."""

from dashboards.panels import ZERO, Board, Colour, Kind, Panel, Query, Row, Text, below
from dashboards.promql import RANGE, SITE, grown, or_none, rate, state

PAGE = "dashboards.md#alarms-and-control"
OFF = 'supply="off"'


def _standing(severity: str) -> str:
    return or_none(state("alarms_standing", SITE, f'severity="{severity}"'))


def _said(states: str) -> str:
    said = f'state=~"{states}"'
    return f"{grown('alarm_events_total', SITE, said, by='kind')} > 0"


def _off(gauge: str) -> str:
    return or_none(state(gauge, SITE, OFF))


def _trip(share: float, window: str = "1h") -> str:
    return f"histogram_quantile({share}, {grown('trip_seconds_bucket', by='le', window=window)})"


NOW = Row(
    Text("现在", "Now"),
    (
        Panel(
            Text("严重告警", "Critical alarms"),
            Text("已产生、尚未消除的严重告警。", "Critical alarms that are raised and not cleared."),
            "locale", PAGE,
            (Query(_standing("critical"), "critical"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
        Panel(
            Text("警告", "Warnings"),
            Text("已产生、尚未消除的警告。", "Warnings that are raised and not cleared."),
            "locale", PAGE,
            (Query(_standing("warning"), "warning"),),
            kind=Kind.NUMBER, steps=below(10, 100), width=4, height=4,
        ),
        Panel(
            Text("未完成命令", "Open commands"),
            Text("已下达、尚未读回确认的分合闸命令。", "Commands that have been given and not yet been read back."),
            "locale", "runbooks/commands-fail.md",
            (Query(or_none(state("commands_open", SITE)), "commands"),),
            kind=Kind.NUMBER, steps=below(10, 100), width=4, height=4,
        ),
        Panel(
            Text("已断开", "Off"),
            Text("最近一次看到是断开的表计。", "Meters whose supply was off when it was seen last."),
            "locale", PAGE,
            (Query(_off("meters_seen"), "off"),),
            kind=Kind.NUMBER, width=4, height=4,
        ),
        Panel(
            Text("应断未断", "To be cut"),
            Text("应当断开的比看到断开的多几只：命令在途，或表计不听。", "By how many more supplies are wanted off than are seen off: commands are on their way, or meters do not obey."),
            "locale", "runbooks/commands-fail.md",
            (Query(f"clamp_min(({_off('meters_wanted')}) - ({_off('meters_seen')}), 0)", "to be cut"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
        Panel(
            Text("断电用时 95%", "Time to cut, 95 %"),
            Text("所示时间内，95% 的欠费断电从下令到读回确认的用时不超过它。所有项目。", "Of all cuts for arrears in the time shown, 95 % took no longer from the order to the cut read back. Of all sites."),
            "s", "runbooks/trips-slow.md",
            (Query(_trip(0.95, RANGE), "95 %"),),
            kind=Kind.NUMBER, steps=below(300, 600), width=4, height=4, decimals=0,
        ),
    ),
)  # fmt: skip
ALARMED = Row(
    Text("告警", "Alarms"),
    (
        Panel(
            Text("产生", "Raised"),
            Text("每小时产生的告警和通知，按种类。", "Alarms raised and notices given in an hour, by kind."),
            "locale", PAGE,
            (Query(_said("raised|noted"), "{{kind}}"),),
            width=12, stacked=True,
        ),
        Panel(
            Text("消除", "Cleared"),
            Text("每小时消除的告警，按种类。", "Alarms cleared in an hour, by kind."),
            "locale", PAGE,
            (Query(_said("cleared"), "{{kind}}"),),
            width=12, stacked=True,
        ),
        Panel(
            Text("持续中", "Standing"),
            Text("已产生、尚未消除的告警，按种类。", "Alarms that are raised and not cleared, by kind."),
            "locale", PAGE,
            (Query(f"{state('alarms_standing', SITE, by='kind')} > 0", "{{kind}}"),),
            width=12,
        ),
        Panel(
            Text("各项目持续告警", "Standing by site"),
            Text("已产生、尚未消除的告警，按项目和级别。", "Alarms that are raised and not cleared, by site and severity."),
            "locale", PAGE,
            (Query(state("alarms_standing", SITE, by="site, severity"), "{{site}} {{severity}}"),),
            width=12,
        ),
    ),
)  # fmt: skip
COMMANDS = Row(
    Text("命令", "Commands"),
    (
        Panel(
            Text("命令进展", "Commands by stage"),
            Text("每小时命令到达的阶段：排队、发出、应答、读回确认，或失败。所有项目。", "Stages that commands reached in an hour: queued, sent, acknowledged, verified, or failed. Of all sites."),
            "locale", PAGE,
            (Query(grown("command_events_total", by="stage"), "{{stage}}"),),
        ),
        Panel(
            Text("未完成命令", "Open commands by stage"),
            Text("尚未读回确认的命令停在哪个阶段。", "Where commands that are not verified stand."),
            "locale", "runbooks/commands-fail.md",
            (Query(state("commands_open", SITE, by="stage"), "{{stage}}"),),
            steps=below(10, 100), stacked=True,
        ),
        Panel(
            Text("失败的命令", "Commands failed"),
            Text("所示时间内失败或过期的命令尝试。所有项目。", "Attempts of commands that failed or expired in the time shown. Of all sites."),
            "locale", "runbooks/commands-fail.md",
            (Query(or_none(grown("command_events_total", 'stage=~"failed|expired"', window=RANGE)), "failed"),),
            kind=Kind.NUMBER, steps=below(1, 10), decimals=0,
        ),
        Panel(
            Text("断电用时", "Time to cut"),
            Text("一小时内欠费断电从下令到读回确认的用时：一半、95%、99% 不超过它。所有项目。", "Of the cuts for arrears in an hour, how long half, 95 % and 99 % took at most from the order to the cut read back. Of all sites."),
            "s", "runbooks/trips-slow.md",
            tuple(Query(_trip(share), f"{share:.0%}") for share in (0.5, 0.95, 0.99)),
            steps=below(300, 600), width=12,
        ),
        Panel(
            Text("断电用时分布", "Cuts by time taken"),
            Text("所示时间内用时不超过横标的断电次数，累计。所有项目。", "Cuts in the time shown that took no longer than this, in seconds; cumulative. Of all sites."),
            "locale", "runbooks/trips-slow.md",
            (Query(grown("trip_seconds_bucket", by="le", window=RANGE), "≤ {{le}} s"),),
            kind=Kind.BARS, width=12, decimals=0,
        ),
    ),
)  # fmt: skip
SUPPLY = Row(
    Text("供电供水", "Supply"),
    (
        Panel(
            Text("断开原因", "Off by reason"),
            Text("应当断开的表计，按原因：欠费、人工、负荷、时段、销户等。", "Meters whose supply is wanted off, by reason: arrears, forced, load, schedule, closed and others."),
            "locale", PAGE,
            (Query(state("meters_wanted", SITE, OFF, by="reason"), "{{reason}}"),),
            width=12, stacked=True,
        ),
        Panel(
            Text("看到的状态", "Supply seen"),
            Text("最近一次看到的通断状态。", "Meters by the supply that was seen last."),
            "locale", PAGE,
            (Query(state("meters_seen", SITE, by="supply"), "{{supply}}"),),
            width=12, colours=(("on", Colour.GOOD), ("off", Colour.BAD), ("unknown", Colour.WATCH)),
        ),
    ),
)  # fmt: skip
NOTICES = Row(
    Text("通知（所有项目）", "Messages to people, of all sites"),
    (
        Panel(
            Text("投递", "Deliveries"),
            Text("每秒投递的消息，按渠道和结果。", "Messages that were tried to be delivered in a second, by channel and result."),
            "cps", "runbooks/notify-behind.md",
            (Query(rate("notify_deliveries_total", by="channel, result"), "{{channel}} {{result}}"),),
        ),
        Panel(
            Text("待投递", "Waiting"),
            Text("等待投递或重试的消息。", "Messages that wait to be delivered or tried again."),
            "locale", "runbooks/notify-behind.md",
            (Query("sum(meterline_notify_waiting)", "waiting"),),
            steps=below(100, 1000), width=6,
        ),
        Panel(
            Text("最老告警", "Oldest alarm"),
            Text("尚未处理的最老告警已等多久。", "How long the oldest alarm that is not dealt with has waited."),
            "s", "runbooks/notify-behind.md",
            (Query("max(meterline_notify_lag_seconds)", "oldest"),),
            steps=below(60, 300), width=6,
        ),
        Panel(
            Text("死信", "Dead letters"),
            Text("已放弃、等人处理的消息。必须为 0。", "Messages that were given up and wait for a person. Must be 0."),
            "locale", "runbooks/dead-letters.md",
            (Query("sum(meterline_notify_dead_letters)", "dead letters"),),
            kind=Kind.NUMBER, steps=ZERO, width=4,
        ),
    ),
)  # fmt: skip

ALARMS = Board(
    "alarms",
    Text("告警与控制", "Alarms and control"),
    Text(
        "什么告警在持续，命令走到哪一步，为什么断开。",
        "What stands and what was said, how far commands have come, and why supplies are off.",
    ),
    (NOW, ALARMED, COMMANDS, SUPPLY, NOTICES),
)
