"""Fleet: which meters answer, what the buses are busy with, and what becomes of readings."""

from dashboards.panels import ZERO, Board, Kind, Panel, Query, Row, Text, above, below
from dashboards.promql import RANGE, SITE, grown, or_none, rate, state

PAGE = "dashboards.md#fleet"


def _meters(word: str, by: str = "") -> str:
    return state("meters", SITE, f'state="{word}"', by=by)


NOW = Row(
    Text("现在", "Now"),
    (
        Panel(
            Text("表计", "Meters"),
            Text("已安装的电表和水表。", "Meters that are installed."),
            "locale", PAGE,
            (Query(state("meters", SITE), "meters"),),
            kind=Kind.NUMBER, width=4, height=4,
        ),
        Panel(
            Text("在线率", "Online"),
            Text("在应答时限内抄到过的表计所占比例。", "Share of the meters that were read within the time that their watch allows."),
            "percentunit", "runbooks/meters-offline.md",
            (Query(f"{_meters('online')} / {state('meters', SITE)}", "online"),),
            kind=Kind.NUMBER, steps=above(0.9, 0.99), width=4, height=4, decimals=1,
        ),
        Panel(
            Text("失连", "Offline"),
            Text("抄到过、但已超过时限没有应答的表计。", "Meters that were heard once, and have been silent for longer than their watch allows."),
            "locale", "runbooks/meters-offline.md",
            (Query(_meters("offline"), "offline"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
        Panel(
            Text("从未抄到", "Never read"),
            Text("已安装但从未抄到过的表计：地址、通道或档案可能有误。", "Meters that have never been read: an address, a channel or the site file may be wrong."),
            "locale", "runbooks/meters-offline.md",
            (Query(_meters("never_read"), "never read"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
        Panel(
            Text("此刻无应答", "Silent now"),
            Text("最近一次抄表没有应答的表计；还没有到失连时限的也算。所有项目。", "Meters that did not answer when they were last asked, also those that are not offline yet. Of all sites."),
            "locale", "runbooks/bus-errors.md",
            (Query("sum(meterline_collect_silent_meters)", "silent"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
        Panel(
            Text("待处理隔离", "Quarantine"),
            Text("不可信、等人判断的读数，按案件计。", "Cases of readings that are not believed and wait for a person."),
            "locale", "runbooks/quarantine-waits.md",
            (Query(or_none(state("quarantine_cases_open", SITE)), "cases"),),
            kind=Kind.NUMBER, steps=below(1, 10), width=4, height=4,
        ),
    ),
)  # fmt: skip
SITES = Row(
    Text("按项目", "By site"),
    (
        Panel(
            Text("各项目在线率", "Online by site"),
            Text("一个项目整体下降，多半是网关或线路；零星下降，多半是表。", "Where a whole site falls, look at its gateway or line; where single meters do, at the meters."),
            "percentunit", "runbooks/meters-offline.md",
            (Query(f"{_meters('online', 'site')} / {state('meters', SITE, by='site')}", "{{site}}"),),
            steps=above(0.9, 0.99),
        ),
        Panel(
            Text("各项目失连表计", "Offline by site"),
            Text("抄到过、但已超过时限没有应答的表计。", "Meters that were heard once, and have been silent for longer than their watch allows."),
            "locale", "runbooks/meters-offline.md",
            (Query(_meters("offline", "site"), "{{site}}"),),
            steps=below(1, 10),
        ),
        Panel(
            Text("表计状态", "Meters by state"),
            Text("电表和水表各有多少在线、失连、从未抄到。", "How many electricity and water meters are online, offline, never read."),
            "locale", PAGE,
            (Query(state("meters", SITE, by="commodity, state"), "{{commodity}} {{state}}"),),
            kind=Kind.BARS,
        ),
    ),
)  # fmt: skip
POLLING = Row(
    Text("抄表（所有项目）", "Polling of all sites"),
    (
        Panel(
            Text("抄表与读数", "Polls and readings"),
            Text("每秒询问的表计数和得到的读数。两线分开，就是有表不应答。", "Meters asked and readings taken in a second. Where the lines part, meters do not answer."),
            "cps", PAGE,
            (
                Query(rate("collect_polls_total"), "polls"),
                Query(rate("collect_readings_total"), "readings"),
            ),
        ),
        Panel(
            Text("无读数的询问", "Polls without a reading"),
            Text("没有得到读数的询问所占比例。", "Share of the polls that gave no reading."),
            "percentunit", "runbooks/bus-errors.md",
            (Query(f"clamp_min(1 - {rate('collect_readings_total')} / {rate('collect_polls_total')}, 0)", "no reading"),),
            steps=below(0.05, 0.2),
        ),
        Panel(
            Text("抄表错误", "Errors by kind"),
            Text("每秒没有来的、或不成话的应答，按种类；uplink 是日志没有收下的上报。", "Answers in a second that did not come or say nothing, by kind; uplink: reports that the log did not take."),
            "cps", "runbooks/bus-errors.md",
            (Query(rate("collect_errors_total", by="kind"), "{{kind}}"),),
        ),
        Panel(
            Text("总线占用", "Bus time"),
            Text("总线上有请求在途的时间所占比例。接近 100% 就再也抄不快了，命令也要等。", "Share of the time in which a request is under way on a bus. Near 100 % it cannot be read more often, and commands wait."),
            "percentunit", "runbooks/bus-stopped.md",
            (Query(rate("collect_bus_seconds_total", by="bus"), "{{bus}}"),),
            steps=below(0.8, 0.95),
        ),
        Panel(
            Text("一轮用时", "Round"),
            Text("每条总线最近一轮抄完所有表计的用时。", "How long the last round over all meters of a bus took."),
            "s", "runbooks/bus-stopped.md",
            (Query("max by (bus) (meterline_collect_round_seconds)", "{{bus}}"),),
            steps=below(300, 900),
        ),
        Panel(
            Text("各总线无应答表计", "Silent meters by bus"),
            Text("最近一次没有应答的表计，按总线。", "Meters that did not answer when they were last asked, by bus."),
            "locale", "runbooks/bus-errors.md",
            (Query("sum by (bus) (meterline_collect_silent_meters)", "{{bus}}"),),
            steps=below(1, 10),
        ),
        Panel(
            Text("待上报", "Reports waiting"),
            Text("日志还没有收下的上报。持续增长说明存储不可达。", "Reports that the log has not taken yet. Where it grows, the store cannot be reached."),
            "locale", "runbooks/reports-waiting.md",
            (Query("sum(meterline_collect_reports_waiting)", "waiting"),),
            steps=below(10, 1000), width=12, height=6,
        ),
        Panel(
            Text("丢弃的读数块", "Blocks dropped"),
            Text("所示时间内因积压过多而放弃的读数块：表计自己仍在计量，但这些小时只能估算。必须为 0。", "Blocks of readings given up in the time shown because too many waited: meters go on counting, but these hours are estimated. Must be 0."),
            "locale", "runbooks/readings-dropped.md",
            (Query(f"sum(increase(meterline_collect_blocks_dropped_total[{RANGE}]))", "dropped"),),
            kind=Kind.NUMBER, steps=ZERO, width=12, height=6,
        ),
    ),
)  # fmt: skip
READINGS = Row(
    Text("读数", "Readings"),
    (
        Panel(
            Text("读数分类", "Readings by class"),
            Text("每小时结算的读数：正常、重复、迟到、回绕，或被隔离。所有项目。", "Readings settled in an hour: normal, duplicate, late, rollover, or one of those that are quarantined. Of all sites."),
            "locale", PAGE,
            (Query(f"{grown('readings_total', by='class')} > 0", "{{class}}"),),
            width=12,
        ),
        Panel(
            Text("隔离原因", "Quarantine by reason"),
            Text("等人判断的案件，按原因。", "Cases that wait for a person, by reason."),
            "locale", "runbooks/quarantine-waits.md",
            (Query(f"{state('quarantine_cases_open', SITE, by='reason')} > 0", "{{reason}}"),),
            width=12, stacked=True,
        ),
        Panel(
            Text("用电", "Electricity"),
            Text("每小时计价的电量，乘过变比。所有项目。", "Electricity priced in an hour, after ratio. Of all sites."),
            "kwatth", PAGE,
            (Query(f"{grown('electricity_priced_joules_total')} / 3.6e6", "electricity"),),
            width=12,
        ),
        Panel(
            Text("用水", "Water"),
            Text("每小时计价的水量。所有项目。", "Water priced in an hour. Of all sites."),
            "litre", PAGE,
            (Query(grown("water_priced_litres_total"), "water"),),
            width=12,
        ),
    ),
)  # fmt: skip

FLEET = Board(
    "fleet",
    Text("表计", "Fleet"),
    Text(
        "哪些表在线，总线忙不忙，读数怎样了。",
        "Which meters answer, what the buses are busy with, and what becomes of readings.",
    ),
    (NOW, SITES, POLLING, READINGS),
)
