"""Every metric that a process of ours serves to Prometheus: the one table that code, docs/metrics.md, dashboards and alert rules are made from.

Names and units follow the conventions of Prometheus (https://prometheus.io/docs/practices/naming/), money is in units of its `currency`.
No label is an id of an account or a meter. Prometheus keeps binary64 numbers: they are for looking, the ledger is for counting.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Process(StrEnum):
    """Who serves a metric."""

    SERVE = "serve"
    STATE = "state"
    """What `serve` reads from the store when it is scraped: the same in every `serve`, whatever restarts."""
    SETTLE = "settle"
    COLLECT = "collect"
    ARCHIVE = "archive"
    CLOCK = "clock"
    COUNT = "count"
    NOTIFY = "notify"
    UP = "up"


class Kind(StrEnum):
    """What Prometheus takes a metric for."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` as it is asked for, a counter's with `_total`. `buckets`: upper edges of a histogram, without infinity, ascending."""

    process: Process
    kind: Kind
    name: str
    labels: tuple[str, ...]
    help: str
    buckets: str = ""

    @property
    def unit(self) -> str:
        """The unit that its name ends with; empty: it counts things."""
        words = self.name.removesuffix("_total").split("_")
        return next((unit for unit in UNITS if words[-1] == unit), "")


UNITS = ("seconds", "bytes", "joules", "litres", "money", "ratio")

MILLISECONDS = "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5"
ANSWERS = "0.002 0.005 0.01 0.02 0.05 0.1 0.25 0.5 1 2.5 5"
AGES = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 300 1800"
ENTRIES = "1 2 4 8 16 32 64"
READINGS = "1 10 100 500 1000 5000 10000 50000"
FILES = "0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60"
TRIPS = "1 2 5 10 30 60 120 300 600 1800 3600 14400 86400"


def _of(process: Process, *rows: tuple[Kind, str, str, str] | tuple[Kind, str, str, str, str]) -> Iterator[Metric]:
    for kind, name, labels, text, *buckets in rows:
        yield Metric(process, kind, f"meterline_{name}", tuple(labels.split()), text, *buckets)


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: tuple[Metric, ...] = (
    *_of(
        Process.SERVE,
        (_C, "http_requests_total", "method route status", "Requests answered, by the template of their route."),
        (_H, "http_request_seconds", "method route status", "Time to the end of an answer.", ANSWERS),
    ),
    *_of(
        Process.STATE,
        (_G, "store_up", "", "1 while the store answers. Of what follows here, nothing is served while it does not."),
        (_G, "state_read_seconds", "", "How long reading what follows took, when it was last read."),
        (_G, "log_lag_seconds", "shard", "How long the oldest unsettled entry of a log has waited."),
        (_G, "log_lag_entries", "shard", "Entries of a log that are not settled."),
        (_G, "settled_time_seconds", "shard", "Event time that a shard has been ticked to."),
        (_G, "archive_lag_seconds", "shard", "How long the oldest entry that is in no file has waited. Nothing without an archive."),
        (_C, "readings_total", "class", "Readings settled, by class."),
        (_C, "electricity_priced_joules_total", "", "Electricity priced, after ratio. 3,600,000 J are 1 kWh."),
        (_C, "water_priced_litres_total", "", "Water priced, after ratio."),
        (_G, "meters", "site commodity state", "Meters installed: online, offline (silent for longer than their watch allows, or than an hour), never_read (nor installed with a register)."),
        (_G, "meters_wanted", "site supply reason", "Meters by the supply that is wanted, and why."),
        (_G, "meters_seen", "site supply", "Meters by the supply that was seen last."),
        (_G, "accounts", "site level", "Accounts that are open, by the deepest balance level that is reached."),
        (_G, "accounts_tripped", "site", "Accounts cut for arrears."),
        (_G, "accounts_running_down", "site days", "Accounts not yet tripped whose money, as their meters use it, is gone within so many days: an estimate, as the outlook's."),
        (_G, "credit_money", "site currency", "Sum of the balances above 0: what is paid and not used."),
        (_G, "arrears_money", "site currency", "Sum of the balances below 0, as a number above 0: what is used and not paid."),
        (_C, "ledger_debited_money_total", "ledger currency", "Debits of an account of the ledger. Its balance is the difference to the credits."),
        (_C, "ledger_credited_money_total", "ledger currency", "Credits of an account of the ledger: of revenue what was charged. Recharges are debits of cash, by channel."),
        (_G, "quarantine_cases_open", "site reason", "Quarantine cases that wait for a person."),
        (_G, "alarms_standing", "site kind severity", "Alarms that are raised and not cleared."),
        (_C, "alarm_events_total", "site kind state", "What has been said of alarms: raised, repeated, cleared, noted."),
        (_G, "commands_open", "site supply stage", "Commands not yet verified, by how far they have come."),
        (_C, "command_events_total", "supply stage", "What has become of commands."),
        (_H, "trip_seconds", "", "Event time from the order to cut for arrears, which the crossing gives outside of no-trip windows, to the cut read back.", TRIPS),
        (_G, "differences", "check", "Differences that the last verification found: must be 0. Nothing before the first."),
        (_G, "unchecked", "check", "1 for a check that the last verification could not make."),
        (_G, "verified_time_seconds", "", "When the last verification ended, by the machine's clock."),
        (_G, "verification_seconds", "", "How long the last verification took."),
        (_G, "redis_used_memory_bytes", "node", "Memory of a server for what it holds."),
        (_G, "redis_resident_memory_bytes", "node", "Memory of a server that the system has given it."),
        (_G, "redis_max_memory_bytes", "node", "Memory that a server may use; 0: no limit."),
        (_G, "redis_aof_enabled", "node", "1 while a server writes all that happens into its file."),
        (_G, "redis_aof_size_bytes", "node", "Size of that file."),
        (_G, "redis_persistence_failed", "node of", "1 while the last aof_write, aof_rewrite or rdb_save failed: nothing is accepted, or the file only grows."),
        (_G, "redis_clients", "node", "Connections to a server."),
        (_C, "redis_commands_total", "node", "Commands that a server has carried out since it started."),
        (_C, "redis_cpu_seconds_total", "node", "CPU time of a server since it started."),
    ),
    *_of(
        Process.SETTLE,
        (_C, "settle_batches_total", "", "Batches folded and committed."),
        (_C, "settle_entries_total", "", "Log entries in these batches."),
        (_C, "settle_readings_total", "", "Readings in these batches."),
        (_H, "settle_batch_entries", "", "Log entries of a batch.", ENTRIES),
        (_H, "settle_batch_readings", "", "Readings of a batch.", READINGS),
        (_H, "settle_fold_seconds", "", "Time to fold a batch and pack what its commit writes.", MILLISECONDS),
        (_H, "settle_commit_seconds", "", "Time that settling is held up by a commit: it is sent once the one before is on disk, which happens while a batch is folded.", MILLISECONDS),
        (_H, "settle_entry_age_seconds", "", "How long the first entry of a batch had been in the log when it was folded, by the machines' clocks.", AGES),
    ),
    *_of(
        Process.COLLECT,
        (_C, "collect_polls_total", "", "Meters asked for a reading."),
        (_C, "collect_readings_total", "", "Readings taken."),
        (_C, "collect_errors_total", "kind", "Answers that did not come or say nothing, by kind; uplink: reports that the log did not take."),
        (_C, "collect_commands_total", "stage", "How far commands have been reported to have come."),
        (_C, "collect_bus_seconds_total", "bus", "Time that requests were under way on a bus."),
        (_C, "collect_rounds_total", "bus", "Rounds over all meters of a bus."),
        (_G, "collect_round_seconds", "bus", "How long the last round took."),
        (_G, "collect_silent_meters", "bus", "Meters of a bus that did not answer when they were last asked."),
        (_G, "collect_reports_waiting", "", "Reports that the log has not taken yet."),
        (_C, "collect_blocks_dropped_total", "", "Reading blocks given up because too many waited: meters keep what they count, hours are estimated."),
    ),
    *_of(
        Process.ARCHIVE,
        (_C, "archive_files_total", "stream", "Files written."),
        (_C, "archive_entries_total", "stream", "Entries in these files."),
        (_C, "archive_bytes_total", "stream", "Size of these files."),
        (_H, "archive_write_seconds", "", "Time to claim, write and trim for a file.", FILES),
    ),
    *_of(
        Process.CLOCK,
        (_C, "clock_ticks_total", "", "Minutes that every shard's log was told."),
        (_G, "clock_standing_still", "", "1 while no minute can be told: no hour closes, nothing is tried again."),
        (_G, "clock_time_seconds", "", "Event time that was told last."),
    ),
    *_of(
        Process.COUNT,
        (_C, "count_rounds_total", "", "Looks for main meters that are to be compared."),
        (_H, "count_round_seconds", "", "Time that such a look takes.", FILES),
    ),
    *_of(
        Process.NOTIFY,
        (_C, "notify_deliveries_total", "channel result", "Messages that were tried to be delivered."),
        (_G, "notify_waiting", "", "Messages that wait to be delivered, or tried again."),
        (_G, "notify_dead_letters", "", "Messages that were given up and wait for a person."),
        (_G, "notify_lag_seconds", "", "How long the oldest alarm that is not dealt with has waited."),
    ),
    *_of(
        Process.UP,
        (_G, "up_process_running", "child", "1 while a process of this installation runs."),
        (_C, "up_restarts_total", "child", "How often a process was started again because it had ended."),
        (_G, "up_clock_time_seconds", "", "Event time by the clock of this installation."),
        (_G, "up_clock_ahead_seconds", "", "How far this machine's clock is ahead of the server's."),
    ),
)  # fmt: skip


def of_process(process: Process) -> tuple[Metric, ...]:
    """The metrics of a process, in order."""
    return tuple(metric for metric in METRICS if metric.process is process)
