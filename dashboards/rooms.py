"""Rooms: an example of tables by the API instead of Prometheus, which knows no rooms. It needs Grafana's Infinity data source and a token of the API."""

from dashboards.panels import Board, Colour, Column, Form, Kind, Listing, Panel, Row, Text

PAGE = "dashboards.md#rooms"
OF_SITE = ("site", "$site")
LEVELS = (
    ("none", Text("正常", "none"), Colour.GOOD),
    ("low", Text("余额不足", "low"), Colour.WATCH),
    ("pretrip", Text("预跳闸", "pretrip"), Colour.WATCH),
    ("arrears", Text("欠费", "arrears"), Colour.BAD),
    ("limit", Text("赊欠上限", "limit"), Colour.BAD),
)
ONLINE = (
    ("true", Text("在线", "online"), Colour.GOOD),
    ("false", Text("失连", "offline"), Colour.BAD),
)
SUPPLY = (
    ("on", Text("通", "on"), Colour.GOOD),
    ("off", Text("断", "off"), Colour.BAD),
    ("unknown", Text("不明", "unknown"), Colour.WATCH),
)
SEVERITIES = (
    ("critical", Text("严重", "critical"), Colour.BAD),
    ("warning", Text("警告", "warning"), Colour.WATCH),
    ("info", Text("通知", "info"), Colour.PLAIN),
)
PLACE = (
    Column("place.building", Text("楼栋", "Building")),
    Column("place.floor", Text("楼层", "Floor")),
    Column("place.room", Text("房间", "Room")),
    Column("account", Text("账户", "Account")),
)
BALANCE = (
    Column("balance", Text("余额", "Balance"), Form.NUMBER, decimals=2),
    Column("currency", Text("币种", "Currency")),
    Column("level", Text("等级", "Level"), words=LEVELS),
)
USE = (
    Column("day.electricity.usage", Text("今日用电 kWh", "kWh today"), Form.NUMBER, decimals=3),
    Column("day.electricity.cost", Text("今日电费", "Electricity today"), Form.NUMBER, decimals=2),
    Column("day.water.usage", Text("今日用水 m³", "m³ today"), Form.NUMBER, decimals=3),
    Column("day.water.cost", Text("今日水费", "Water today"), Form.NUMBER, decimals=2),
)
SEEN = (
    Column("online", Text("在线", "Online"), words=ONLINE),
    Column("last_reading_at", Text("最近读数", "Last reading"), Form.TIME),
    Column("meters.0.supply.seen", Text("通断", "Supply"), words=SUPPLY),
    Column("meters.0.supply.reason", Text("原因", "Reason")),
)

RUNNING_OUT = Row(
    Text("要留意的", "To be looked at"),
    (
        Panel(
            Text("余额不足的房间", "Rooms that run out"),
            Text("所选项目中有余额告警的房间。", "Rooms of the site of which a balance alarm stands."),
            "none", PAGE,
            listing=Listing("/rooms", (OF_SITE, ("low_balance", "true")), (*PLACE, *BALANCE)),
            kind=Kind.TABLE, width=12, height=10,
        ),
        Panel(
            Text("持续告警", "Standing alarms"),
            Text("所选项目中已产生、尚未消除的告警。", "Alarms of the site that are raised and not cleared."),
            "none", PAGE,
            listing=Listing(
                "/alarms/standing",
                (OF_SITE,),
                (
                    Column("severity", Text("级别", "Severity"), words=SEVERITIES),
                    Column("kind", Text("种类", "Kind")),
                    *PLACE,
                    Column("meter", Text("表号", "Meter")),
                    Column("since", Text("自", "Since"), Form.TIME),
                    Column("acknowledgement.by", Text("确认人", "Seen by")),
                ),
            ),
            kind=Kind.TABLE, width=12, height=10,
        ),
    ),
)  # fmt: skip
ALL = Row(
    Text("房间", "Rooms"),
    (
        Panel(
            Text("所有房间", "All rooms"),
            Text("所选项目的房间：余额、等级、在线、通断和今日用量。通断和原因是第一只表的。", "Rooms of the site with balance, level, supply and use of the day. Supply and reason are those of the first meter."),
            "none", PAGE,
            listing=Listing("/rooms", (OF_SITE,), (*PLACE, *BALANCE, *SEEN, *USE)),
            kind=Kind.TABLE, width=24, height=18,
        ),
    ),
)  # fmt: skip

ROOMS = Board(
    "rooms",
    Text("房间", "Rooms"),
    Text(
        "每个房间的余额、用量和通断，直接取自接口；需要 Infinity 数据源和只读令牌。",
        "Balance, use and supply of every room, straight from the API; it needs the Infinity data source and a token of a viewer.",
    ),
    (RUNNING_OUT, ALL),
)
