"""Flow: how far settlement, archive and clock are behind, what a batch costs, how the server is, and what verification found."""

from dashboards.panels import ZERO, Board, Colour, Kind, Panel, Query, Row, Steps, Text, below
from dashboards.promql import RANGE, mean, quantile, rate

PAGE = "dashboards.md#flow"
UP: Steps = ((None, Colour.BAD), (1, Colour.GOOD))
HOUR = 3600
JOBS = "serve|settle|collect|archive|clock|count|notify|up"
"""Prometheus may watch others too."""
ANSWERED = rate("http_requests_total")
FAILED = rate("http_requests_total", 'status=~"5.."')


def _once(gauge: str, by: str) -> str:
    """A gauge of the state that every `serve` tells alike."""
    return f"max by ({by}) (meterline_{gauge})"


def _shares(histogram: str) -> tuple[Query, ...]:
    return tuple(Query(quantile(share, histogram), f"{share:.0%}") for share in (0.5, 0.99))


NOW = Row(
    Text("现在", "Now"),
    (
        Panel(
            Text("存储", "Store"),
            Text("1：存储有应答。0：没有，其余状态指标也都停了。", "1 while the store answers; where it does not, no other gauge of the state is served."),
            "none", "runbooks/store-down.md",
            (Query("max(meterline_store_up)", "store"),),
            kind=Kind.NUMBER, steps=UP, width=4, height=4,
        ),
        Panel(
            Text("结算滞后", "Log lag"),
            Text("最老的未结算日志条目已等多久，取最慢的分片。", "How long the oldest unsettled log entry has waited, of the slowest shard."),
            "s", "runbooks/settlement-behind.md",
            (Query("max(meterline_log_lag_seconds)", "lag"),),
            kind=Kind.NUMBER, steps=below(10, 60), width=4, height=4,
        ),
        Panel(
            Text("归档滞后", "Archive lag"),
            Text("最老的、还不在任何文件里的条目已等多久。没有归档就没有数据。", "How long the oldest entry that is in no file has waited. No data where there is no archive."),
            "s", "runbooks/archive-behind.md",
            (Query("max(meterline_archive_lag_seconds)", "lag"),),
            kind=Kind.NUMBER, steps=below(HOUR / 2, HOUR), width=4, height=4,
        ),
        Panel(
            Text("核对差异", "Differences"),
            Text("最近一次核对发现的差异。必须为 0。还没有核对过就没有数据。", "Differences that the last verification found. Must be 0. No data before the first verification."),
            "locale", "runbooks/differences.md",
            (Query(f"sum({_once('differences', 'check')})", "differences"),),
            kind=Kind.NUMBER, steps=ZERO, width=4, height=4,
        ),
        Panel(
            Text("距上次核对", "Last verified"),
            Text("最近一次核对结束至今。meterline verify 每六小时核对一次。", "Since the last verification ended. meterline verify makes one every six hours."),
            "s", "runbooks/unverified.md",
            (Query("time() - max(meterline_verified_time_seconds)", "since"),),
            kind=Kind.NUMBER, steps=below(24 * HOUR, 48 * HOUR), width=4, height=4,
        ),
        Panel(
            Text("进程", "Processes"),
            Text("本机应运行的进程中在运行的比例。", "Share of the processes of meterline up that run."),
            "percentunit", "runbooks/process-down.md",
            (Query("avg(meterline_up_process_running)", "running"),),
            kind=Kind.NUMBER, steps=UP, width=4, height=4,
        ),
    ),
)  # fmt: skip
LOG = Row(
    Text("日志", "Log"),
    (
        Panel(
            Text("结算滞后（秒）", "Log lag in seconds"),
            Text("每个分片最老的未结算条目已等多久。", "How long the oldest unsettled entry of each shard has waited."),
            "s", "runbooks/settlement-behind.md",
            (Query(_once("log_lag_seconds", "shard"), "{{shard}}"),),
            steps=below(10, 60), width=6,
        ),
        Panel(
            Text("结算滞后（条）", "Log lag in entries"),
            Text("每个分片还没有结算的条目。", "Entries of each shard that are not settled."),
            "locale", "runbooks/settlement-behind.md",
            (Query(_once("log_lag_entries", "shard"), "{{shard}}"),),
            steps=below(1000, 10_000), width=6,
        ),
        Panel(
            Text("条目等待", "Age of entries"),
            Text("一批的第一条在日志里等了多久才被结算：一半、99% 不超过它。", "How long the first entry of a batch had been in the log when it was folded: half, and 99 %, at most so long."),
            "s", "runbooks/settlement-behind.md", _shares("settle_entry_age_seconds"),
            steps=below(1, 10), width=6,
        ),
        Panel(
            Text("结算速度", "Settled"),
            Text("每秒结算的日志条目和其中的读数。", "Log entries settled in a second, and readings in them."),
            "cps", PAGE,
            (
                Query(rate("settle_entries_total"), "entries"),
                Query(rate("settle_readings_total"), "readings"),
            ),
            width=6,
        ),
    ),
)  # fmt: skip
CLOCK = Row(
    Text("时钟与总表比对", "Clock and main meters"),
    (
        Panel(
            Text("时钟", "Clock"),
            Text("1：时钟停住了，没有分钟被告知：小时不关账，命令不重试。必须为 0。", "1 while no minute can be told: no hour closes, nothing is tried again. Must be 0."),
            "none", "runbooks/time-stands-still.md",
            (Query("max(meterline_clock_standing_still)", "standing still"),),
            steps=ZERO, width=6,
        ),
        Panel(
            Text("分片时间差", "Shards apart"),
            Text("各分片事件时间之间的最大差，按事件时间计。时钟逐分钟告知，正常不超过两分钟。", "How far the event times of shards are apart, in event time. They are told every minute: two at most where all is well."),
            "s", "runbooks/time-stands-still.md",
            (Query("max(meterline_settled_time_seconds) - min(meterline_settled_time_seconds)", "apart"),),
            steps=below(180, 600), width=6,
        ),
        Panel(
            Text("本机时钟超前", "Clock ahead"),
            Text("本机时钟比服务器快多少；快五分钟以上，时钟进程就停住。", "How far this machine's clock is ahead of the server's. From five minutes on the clock stands still."),
            "s", "runbooks/clocks-disagree.md",
            (Query("max by (instance) (meterline_up_clock_ahead_seconds)", "{{instance}}"),),
            steps=below(30, 60), width=6,
        ),
        Panel(
            Text("比对总表用时", "Comparing main meters"),
            Text("寻找可以比对的总表一次所用的时间：一半、99% 不超过它。", "Time that a look for main meters to be compared takes: half, and 99 %, at most so long."),
            "s", PAGE, _shares("count_round_seconds"),
            steps=below(1, 10), width=6,
        ),
    ),
)  # fmt: skip
SETTLING = Row(
    Text("结算", "Settlement"),
    (
        Panel(
            Text("折叠用时", "Fold"),
            Text("结算一批、打包提交所用的时间：一半、99% 不超过它。", "Time to fold a batch and pack what its commit writes: half, and 99 %, at most so long."),
            "s", "runbooks/settlement-behind.md", _shares("settle_fold_seconds"),
            steps=below(0.5, 2.5), width=6,
        ),
        Panel(
            Text("提交用时", "Commit"),
            Text("发出提交到取得应答的时间；其间下一批已在结算。", "Time from sending a commit until its answer is taken; the next batch is folded meanwhile."),
            "s", "runbooks/settlement-behind.md", _shares("settle_commit_seconds"),
            steps=below(0.5, 2.5), width=6,
        ),
        Panel(
            Text("每批条目", "Entries of a batch"),
            Text("一批平均有多少日志条目；到 64 就是满批，结算在追赶。", "Log entries of a batch, the mean. At 64 batches are full: settlement is catching up."),
            "locale", "runbooks/settlement-behind.md",
            (Query(mean("settle_batch_entries"), "mean"),),
            steps=below(32, 60), width=6, decimals=1,
        ),
        Panel(
            Text("每批读数", "Readings of a batch"),
            Text("一批平均有多少读数。", "Readings of a batch, the mean."),
            "locale", PAGE,
            (Query(mean("settle_batch_readings"), "mean"),),
            width=6, decimals=0,
        ),
    ),
)  # fmt: skip
REDIS = Row(
    Text("Redis", "Redis"),
    (
        Panel(
            Text("内存", "Memory"),
            Text("服务器存放数据用的、和系统给它的内存；以及允许的上限，0 是没有上限。", "Memory of the server for what it holds, that the system has given it, and that it may use; 0: no limit."),
            "bytes", "runbooks/server-memory.md",
            (
                Query(_once("redis_used_memory_bytes", "node"), "used {{node}}"),
                Query(_once("redis_resident_memory_bytes", "node"), "resident {{node}}"),
                Query(_once("redis_max_memory_bytes", "node"), "limit {{node}}"),
            ),
        ),
        Panel(
            Text("命令", "Commands"),
            Text("服务器每秒执行的命令。", "Commands that the server carries out in a second."),
            "ops", PAGE,
            (Query("max by (node) (rate(meterline_redis_commands_total[$__rate_interval]))", "{{node}}"),),
        ),
        Panel(
            Text("处理器", "CPU"),
            Text("服务器占用的处理器核数。命令由一个核执行：接近 1 就到顶了。", "Cores that the server uses. One of them carries out all commands: near 1 it is at its end."),
            "none", PAGE,
            (Query("max by (node) (rate(meterline_redis_cpu_seconds_total[$__rate_interval]))", "{{node}}"),),
            steps=below(0.8, 0.95), decimals=2,
        ),
        Panel(
            Text("追加文件", "Append-only file"),
            Text("服务器把发生的一切写进去的文件；归档和重写使它变小。", "Size of the file that the server writes all that happens into; archiving and rewriting make it smaller."),
            "bytes", PAGE,
            (Query(_once("redis_aof_size_bytes", "node"), "{{node}}"),),
        ),
        Panel(
            Text("持久化失败", "Persistence failed"),
            Text("1：最近一次写入、重写或快照失败。必须为 0：写入失败时什么都不被接受。", "1 while the last write, rewrite or snapshot failed. Must be 0: where writing fails nothing is accepted."),
            "none", "runbooks/persistence-failed.md",
            (Query(_once("redis_persistence_failed", "node, of"), "{{of}} {{node}}"),),
            steps=ZERO,
        ),
        Panel(
            Text("连接", "Clients"),
            Text("连到服务器的连接。", "Connections to the server."),
            "locale", PAGE,
            (Query(_once("redis_clients", "node"), "{{node}}"),),
        ),
    ),
)  # fmt: skip
ARCHIVE = Row(
    Text("归档", "Archive"),
    (
        Panel(
            Text("归档滞后", "Archive lag by shard"),
            Text("每个分片最老的、还不在任何文件里的条目已等多久。", "How long the oldest entry of each shard that is in no file has waited."),
            "s", "runbooks/archive-behind.md",
            (Query(_once("archive_lag_seconds", "shard"), "{{shard}}"),),
            steps=below(HOUR / 2, HOUR), width=6,
        ),
        Panel(
            Text("写出", "Written"),
            Text("每秒写进文件的条目，按流。", "Entries written into files in a second, by stream."),
            "cps", PAGE,
            (Query(rate("archive_entries_total", by="stream"), "{{stream}}"),),
            width=6,
        ),
        Panel(
            Text("写出字节", "Bytes written"),
            Text("每秒写进文件的字节，所有流。", "Bytes written into files in a second, of all streams."),
            "Bps", PAGE,
            (Query(rate("archive_bytes_total"), "bytes"),),
            width=6,
        ),
        Panel(
            Text("写一个文件", "A file"),
            Text("认领、写出、裁剪一个文件所用的时间：一半、99% 不超过它。", "Time to claim, write and trim for a file: half, and 99 %, at most so long."),
            "s", PAGE, _shares("archive_write_seconds"),
            steps=below(10, 60), width=6,
        ),
    ),
)  # fmt: skip
VERIFIED = Row(
    Text("核对", "Verification"),
    (
        Panel(
            Text("差异", "Differences by check"),
            Text("最近一次核对的每一项发现的差异。必须全为 0。", "Differences that each check of the last verification found. All must be 0."),
            "locale", "runbooks/differences.md",
            (Query(_once("differences", "check"), "{{check}}"),),
            kind=Kind.BARS, steps=ZERO, height=10,
        ),
        Panel(
            Text("未能核对", "Not checked"),
            Text("1：最近一次核对没能做这一项，例如因为日志已不全。", "1 for a check that the last verification could not make, for instance because the log is not whole."),
            "none", "runbooks/unverified.md",
            (Query(_once("unchecked", "check"), "{{check}}"),),
            kind=Kind.BARS, steps=((None, Colour.GOOD), (1, Colour.WATCH)), height=10,
        ),
        Panel(
            Text("核对用时", "Verification took"),
            Text("最近一次核对用了多久。", "How long the last verification took."),
            "s", PAGE,
            (Query("max(meterline_verification_seconds)", "seconds"),),
            height=10,
        ),
    ),
)  # fmt: skip
PROCESSES = Row(
    Text("进程与接口", "Processes and API"),
    (
        Panel(
            Text("运行中", "Running"),
            Text("1：本机的这个进程在运行。", "1 while a process of meterline up runs."),
            "none", "runbooks/process-down.md",
            (Query("min by (child) (meterline_up_process_running)", "{{child}}"),),
            kind=Kind.BARS, steps=UP,
        ),
        Panel(
            Text("重启", "Restarts"),
            Text("所示时间内因结束而被再次启动的次数。", "How often a process was started again because it had ended, in the time shown."),
            "locale", "runbooks/process-restarts.md",
            (Query(f"sum by (child) (increase(meterline_up_restarts_total[{RANGE}]))", "{{child}}"),),
            kind=Kind.BARS, steps=below(1, 5), decimals=0,
        ),
        Panel(
            Text("内存", "Memory by process"),
            Text("每个进程占用的内存。", "Memory that each process has been given."),
            "bytes", PAGE,
            (Query(f'sum by (job) (process_resident_memory_bytes{{job=~"{JOBS}"}})', "{{job}}"),),
        ),
        Panel(
            Text("接口请求", "API requests"),
            Text("每秒应答的请求，按状态码。", "Requests answered in a second, by status."),
            "reqps", PAGE,
            (Query(rate("http_requests_total", by="status"), "{{status}}"),),
            stacked=True,
        ),
        Panel(
            Text("接口用时", "API latency"),
            Text("应答一个请求的时间：一半、99% 不超过它。", "Time to the end of an answer: half, and 99 %, at most so long."),
            "s", "runbooks/api-slow.md", _shares("http_request_seconds"),
            steps=below(0.25, 1),
        ),
        Panel(
            Text("接口错误", "API errors"),
            Text("应答为 5xx 的请求所占比例。", "Share of the requests that were answered by 5xx."),
            "percentunit", "runbooks/api-errors.md",
            (Query(f"({FAILED} or {ANSWERED} * 0) / {ANSWERED}", "5xx"),),
            steps=below(0.01, 0.05),
        ),
    ),
)  # fmt: skip

FLOW = Board(
    "flow",
    Text("数据流", "Flow"),
    Text(
        "结算、归档、时钟落后多少，一批要多久，服务器怎样，核对发现了什么。",
        "How far settlement, archive and clock are behind, what a batch costs, how the server is, and what verification found.",
    ),
    (NOW, LOG, CLOCK, SETTLING, REDIS, ARCHIVE, VERIFIED, PROCESSES),
)
