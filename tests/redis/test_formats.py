import contextlib
import dataclasses
import types
import typing
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.redis.formats import (
    EARLIEST_MS,
    LATEST_MS,
    FormatError,
    alarm_message,
    decode_fact,
    encode_fact,
    iso,
    key_bytes,
    key_value,
    pack,
)
from domain import effects, facts, state
from domain.effects import POSTING, QUARANTINED, USAGE, Alarm, Command, Outcome
from domain.facts import AlarmTerms, Place, ReadingBlock
from domain.state import ACCOUNT, ACCOUNT_TERMS, BAND_REGISTERS, COUNTER, METER, METER_TERMS, WATCH, picked
from domain.words import (
    AlarmKind,
    AlarmState,
    AllowanceKind,
    Commodity,
    Decision,
    ItemKind,
    Period,
    Reason,
    Settlement,
    Stage,
    Supply,
)

ID = "01JGFJJZ000000000000000001"
PLACE = Place(site="s", building="b", floor="1", room="101")
MAX = 2**63 - 1

# What facts, records, blocks and rows are in bytes. Stores in the field hold these: a change needs a new version, and the
# old one read as well.
FACTS = [
    (facts.Ticked(at=1735689600000), "81a26174cf000001941f297c00"),
    (
        facts.TariffPublished(at=1, id=ID, tariff="flat", document="[x]"),
        "84a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a6746172696666a4666c6174a8646f63756d656e74a35b785d",
    ),
    (
        facts.AccountOpened(at=1, id=ID, account="A1", currency="CNY", name="王", place=PLACE),
        "89a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a863757272656e6379a3434e59a46e616d65a3e78e8ba5706c61636584a473697465a173a86275696c64696e67a162a5666c6f6f72a131a4726f6f6da3313031a6616c61726d7389a36c6f77ce01312d00a770726574726970ce004c4b40a76172726561727300aa68797374657265736973ce0007a120a97265636f6e6e656374ce000f4240ab6d61785f62616c616e6365cf000009184e72a000a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a96f766572647261667400a87072657061726564c2a6706f6c696379a0",
    ),
    (
        facts.MeterInstalled(
            at=1,
            id=ID,
            meter=123456789012,
            account="A1",
            commodity=Commodity.WATER,
            tariff="flat",
            profile="p",
            modulus=100000000,
            rated_per_hour=8000,
            ratio=2,
            opening_register=7,
            switchable=False,
        ),
        "8ea2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d65746572cf0000001cbe991a14a76163636f756e74a24131a9636f6d6d6f6469747901a6746172696666a4666c6174a770726f66696c65a170a76d6f64756c7573ce05f5e100ae72617465645f7065725f686f7572cd1f40a5726174696f02b06f70656e696e675f726567697374657207aa73776974636861626c65c2a7706572736f6e7301aa63617061636974795f7700",
    ),
    (
        facts.RechargeOrdered(
            at=1, id=ID, account="A1", amount_micros=12500000, currency="CNY", channel="wechat", note="n"
        ),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131ad616d6f756e745f6d6963726f73ce00bebc20a863757272656e6379a3434e59a76368616e6e656ca6776563686174a46e6f7465a16ea86f70657261746f72a0",
    ),
    (
        facts.RefundOrdered(at=1, id=ID, account="A1", amount_micros=1, currency="CNY"),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131ad616d6f756e745f6d6963726f7301a863757272656e6379a3434e59a76368616e6e656ca0a46e6f7465a0a86f70657261746f72a0",
    ),
    (
        facts.AdjustmentOrdered(
            at=1, id=ID, account="A1", amount_micros=-5, currency="CNY", note="n", operator="o", corrects=ID
        ),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131ad616d6f756e745f6d6963726f73fba863757272656e6379a3434e59a46e6f7465a16ea86f70657261746f72a16fa8636f727265637473ba30314a47464a4a5a303030303030303030303030303030303031",
    ),
    (
        facts.ReversalOrdered(at=1, id=ID, account="A1", order=ID, note="n", operator="o"),
        "86a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a56f72646572ba30314a47464a4a5a303030303030303030303030303030303031a46e6f7465a16ea86f70657261746f72a16f",
    ),
    (
        facts.AllowanceSet(
            at=1, id=ID, account="A1", kind=AllowanceKind.WATER, amount=5, from_day=9, partial=True, operator="o"
        ),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46b696e6403a6616d6f756e7405a866726f6d5f64617909a77061727469616cc3a86f70657261746f72a16f",
    ),
    (
        facts.ChargeItemSet(
            at=1,
            id=ID,
            account="A1",
            item="rent",
            kind=ItemKind.RENT,
            amount_micros=5,
            period=Period.MONTH,
            starts=9,
            zone="Asia/Shanghai",
            ends=99,
            area=80_000,
            partial=True,
            title="t",
            operator="o",
        ),
        "8ea2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46974656da472656e74a46b696e64a472656e74ad616d6f756e745f6d6963726f7305a6706572696f64a56d6f6e7468a673746172747309a47a6f6e65ad417369612f5368616e67686169a4656e647363a461726561ce00013880a77061727469616cc3a57469746c65a174a86f70657261746f72a16f",
    ),
    (
        facts.ChargeItemEnded(at=1, id=ID, account="A1", item="rent", operator="o"),
        "85a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46974656da472656e74a86f70657261746f72a16f",
    ),
    (
        facts.MeterWatchSet(at=1, id=ID, meter=5, terms=facts.WatchTerms(day_usage=7), operator="o"),
        "85a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a57465726d738ba96461795f757361676507ab6d6f6e74685f757361676500aa6f66666c696e655f6d7300a8737475636b5f6d7300a7737475636b5f7700a9726576657273655f7700ab6e696768745f7573616765ffaa6e696768745f66726f6d78ab6e696768745f756e74696cccf0a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a86f70657261746f72a16f",
    ),
    (
        facts.TariffAssigned(
            at=1, id=ID, meter=5, tariff="flat", starts_at=9, persons=4, capacity_w=3000, restart=True
        ),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a6746172696666a4666c6174a97374617274735f617409a7706572736f6e7304aa63617061636974795f77cd0bb8a772657374617274c3",
    ),
    (
        facts.ControlOrdered(at=1, id=ID, meter=5, wanted=Supply.OFF, until=9, operator="o", note="n"),
        "87a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a677616e74656401a5756e74696c09a86f70657261746f72a16fa46e6f7465a16e",
    ),
    (
        facts.ControlTermsSet(
            at=1,
            id=ID,
            meter=5,
            terms=facts.ControlTerms(
                zone="UTC",
                holidays=(20_000,),
                no_trip=(facts.Window(days=255, from_minute=1320, until_minute=360),),
                schedule=(facts.ScheduledSupply(days=128, from_minute=0, until_minute=1440, supply=Supply.OFF),),
                power_limit_w=5_000,
                malignant_step_w=1_800,
                tolerated=(facts.StepRange(low_w=2_000, high_w=2_200),),
                whitelisted=True,
                restores=2,
                restore_wait_ms=60_000,
                button=True,
            ),
        ),
        "84a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a57465726d738ba47a6f6e65a3555443a8686f6c696461797391cd4e20a76e6f5f747269709183a464617973ccffab66726f6d5f6d696e757465cd0528ac756e74696c5f6d696e757465cd0168a87363686564756c659184a464617973cc80ab66726f6d5f6d696e75746500ac756e74696c5f6d696e757465cd05a0a6737570706c7901ad706f7765725f6c696d69745f77cd1388b06d616c69676e616e745f737465705f77cd0708a9746f6c6572617465649182a56c6f775f77cd07d0a6686967685f77cd0898ab77686974656c6973746564c3a8726573746f72657302af726573746f72655f776169745f6d73cdea60a6627574746f6ec3",
    ),
    (
        facts.ProtectionOrdered(at=1, id=ID, meter=5, protected=True, until=9, operator="o", note="n"),
        "87a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a970726f746563746564c3a5756e74696c09a86f70657261746f72a16fa46e6f7465a16e",
    ),
    (
        facts.LoadReleased(at=1, id=ID, meter=5, operator="o", note="n"),
        "85a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a86f70657261746f72a16fa46e6f7465a16e",
    ),
    (
        facts.CommandReported(at=1, meter=5, epoch=3, stage=Stage.VERIFIED, seen=Supply.ON, detail="d"),
        "86a2617401a56d6574657205a565706f636803a57374616765a87665726966696564a47365656e02a664657461696ca164",
    ),
    (
        facts.ReadingRefused(at=1, source="f.csv", line=3, text="x", reason="number", meter=5, usage=9),
        "87a2617401a6736f75726365a5662e637376a46c696e6503a474657874a178a6726561736f6ea66e756d626572a56d6574657205a5757361676509",
    ),
    (
        facts.QuarantineDecided(
            at=1,
            id=ID,
            meter=5,
            reason="jump",
            decision=Decision.REBASELINE,
            note="n",
            register=7,
            usage=9,
            operator="o",
        ),
        "89a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a6726561736f6ea46a756d70a86465636973696f6eaa7265626173656c696e65a46e6f7465a16ea8726567697374657207a5757361676509a86f70657261746f72a16f",
    ),
    (
        facts.ReadingCorrected(
            at=1, id=ID, meter=5, from_ms=2, until_ms=3, usage_delta=-4, note="n", register=7, operator="o"
        ),
        "89a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a766726f6d5f6d7302a8756e74696c5f6d7303ab75736167655f64656c7461fca46e6f7465a16ea8726567697374657207a86f70657261746f72a16f",
    ),
]

LIFE = {"at": 1, "id": ID, "account": "A1"}
SETTLED = {"settlement": Settlement.REFUND, "channel": "counter", "reason": "r", "operator": "o"}
FACTS += [
    (
        facts.AccountActivated(**LIFE, name="王", operator="o"),
        "85a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46e616d65a3e78e8ba86f70657261746f72a16f",
    ),
    (
        facts.AccountUpdated(**LIFE, name="王", place=PLACE, alarms=AlarmTerms(), operator="o", policy="shops"),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46e616d65a3e78e8ba5706c61636584a473697465a173a86275696c64696e67a162a5666c6f6f72a131a4726f6f6da3313031a6616c61726d7389a36c6f77ce01312d00a770726574726970ce004c4b40a76172726561727300aa68797374657265736973ce0007a120a97265636f6e6e656374ce000f4240ab6d61785f62616c616e6365cf000009184e72a000a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a96f766572647261667400a86f70657261746f72a16fa6706f6c696379a573686f7073",
    ),
    (
        facts.AccountTransferred(**LIFE, **SETTLED, name="李"),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131a46e616d65a3e69d8eaa736574746c656d656e74a6726566756e64a76368616e6e656ca7636f756e746572a6726561736f6ea172a86f70657261746f72a16f",
    ),
    (
        facts.MeterRemoved(at=1, id=ID, meter=5, closing_register=7, operator="o", note="n"),
        "86a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205b0636c6f73696e675f726567697374657207a86f70657261746f72a16fa46e6f7465a16e",
    ),
    (
        facts.MeterReplaced(
            at=1,
            id=ID,
            meter=5,
            closing_register=7,
            new_meter=6,
            opening_register=8,
            modulus=100,
            rated_per_hour=9,
            ratio=2,
            profile="p",
            switchable=False,
            operator="o",
            note="n",
        ),
        "8da2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205b0636c6f73696e675f726567697374657207a96e65775f6d6574657206b06f70656e696e675f726567697374657208a76d6f64756c757364ae72617465645f7065725f686f757209a5726174696f02a770726f66696c65a170aa73776974636861626c65c2a86f70657261746f72a16fa46e6f7465a16e",
    ),
    (
        facts.SiteSet(at=1, id=ID, site="s", title_zh="苑", title_en="Court", zone="Asia/Shanghai", currency="CNY"),
        "87a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a473697465a173a87469746c655f7a68a3e88b91a87469746c655f656ea5436f757274a47a6f6e65ad417369612f5368616e67686169a863757272656e6379a3434e59",
    ),
    (
        facts.MainMeterSet(at=1, id=ID, meter=5, subs=(6, 7), loss_max_permille=100, loss_min=500, operator="o"),
        "87a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a473756273920607b16c6f73735f6d61785f7065726d696c6c6564a86c6f73735f6d696ecd01f4a86f70657261746f72a16f",
    ),
    (
        facts.SubMetersCounted(
            at=1, meter=5, subs=(6, 7), begins=2, ends=3, used=9, counted=8, subs_now=(6,), waits_for=(7,)
        ),
        "89a2617401a56d6574657205a473756273920607a6626567696e7302a4656e647303a47573656409a7636f756e74656408a8737562735f6e6f779106a977616974735f666f729107",
    ),
    (
        facts.PurchasesCounted(at=1, meter=5, count=7),
        "83a2617401a56d6574657205a5636f756e7407",
    ),
    (
        facts.PurchasesAccepted(at=1, id=ID, meter=5, count=7, note="n", operator="o"),
        "86a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a56d6574657205a5636f756e7407a46e6f7465a16ea86f70657261746f72a16f",
    ),
    (
        facts.PolicySet(at=1, id=ID, policy="shops", alarms=AlarmTerms()),
        "84a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a6706f6c696379a573686f7073a6616c61726d7389a36c6f77ce01312d00a770726574726970ce004c4b40a76172726561727300aa68797374657265736973ce0007a120a97265636f6e6e656374ce000f4240ab6d61785f62616c616e6365cf000009184e72a000a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a96f766572647261667400",
    ),
    (
        facts.AccountClosed(**LIFE, **SETTLED, cut=True),
        "88a2617401a26964ba30314a47464a4a5a303030303030303030303030303030303031a76163636f756e74a24131aa736574746c656d656e74a6726566756e64a76368616e6e656ca7636f756e746572a6726561736f6ea172a86f70657261746f72a16fa3637574c3",
    ),
]

RECORDS = [
    (
        state.ShardHeader(
            now=1, posting_sequence=2, chain=bytes(range(32)), pruned_day=3, classes=(1,) * 13, usage=(4, 5), ticked=6
        ),
        "87a36e6f7701b0706f7374696e675f73657175656e636502a5636861696ec420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1faa7072756e65645f64617903a7636c61737365739d01010101010101010101010101a57573616765920405a67469636b656406",
    ),
    (
        state.AccountRecord(
            row=1, account="A1", currency="CNY", name="王", place=PLACE, alarms=AlarmTerms(), opened_at=1, meters=(5, 6)
        ),
        "de0011a3726f7701a76163636f756e74a24131a863757272656e6379a3434e59a46e616d65a3e78e8ba5706c61636584a473697465a173a86275696c64696e67a162a5666c6f6f72a131a4726f6f6da3313031a6616c61726d7389a36c6f77ce01312d00a770726574726970ce004c4b40a76172726561727300aa68797374657265736973ce0007a120a97265636f6e6e656374ce000f4240ab6d61785f62616c616e6365cf000009184e72a000a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a96f766572647261667400a96f70656e65645f617401a66d6574657273920506a8636f756e7465727390a76f70656e696e67c400a6666f726d657290ac74656e616e745f73696e636500a9636c6f7365645f617400af736574746c65645f706f7374696e6700aa706179735f73696e636500a6706f6c696379a0aa667265655f756e74696c9400000000",
    ),
    (
        state.MeterRecord(
            row=1,
            meter=5,
            account="A1",
            commodity=Commodity.WATER,
            tariff="flat",
            profile="p",
            modulus=100,
            rated_per_hour=8,
            ratio=2,
            switchable=True,
            installed_at=1,
        ),
        "de0013a3726f7701a56d6574657205a76163636f756e74a24131a9636f6d6d6f6469747901a6746172696666a4666c6174a770726f66696c65a170a76d6f64756c757364ae72617465645f7065725f686f757208a5726174696f02aa73776974636861626c65c3ac696e7374616c6c65645f617401b06f70656e696e675f7265676973746572c0a7706572736f6e7301aa63617061636974795f7700a861737369676e656490a57761746368c0aa72656d6f7665645f617400a87265706c6163657300ab7265706c616365645f627900",
    ),
    (
        state.TariffRecord(row=1, tariff="flat", document="[x]"),
        "83a3726f7701a6746172696666a4666c6174a8646f63756d656e74a35b785d",
    ),
    (
        state.MainMeter(
            meter=5,
            subs=(6, 7),
            loss_max_permille=100,
            loss_min=500,
            day=3,
            begins=state.DayEnd(at=1, entry=2),
            ends=state.DayEnd(at=3, entry=4),
            asked=True,
            waits_for=(7,),
            last=state.Comparison(begins=1, ends=2, used=9, counted=8),
            raised=True,
            reason="r",
        ),
        "8ca56d6574657205a473756273920607b16c6f73735f6d61785f7065726d696c6c6564a86c6f73735f6d696ecd01f4a364617903a6626567696e7382a2617401a5656e74727902a4656e647382a2617403a5656e74727904a561736b6564c3a977616974735f666f729107a46c61737484a6626567696e7301a4656e647302a47573656409a7636f756e74656408a6726169736564c3a6726561736f6ea172",
    ),
    (
        state.PolicyRecord(policy="shops", alarms=AlarmTerms()),
        "82a6706f6c696379a573686f7073a6616c61726d7389a36c6f77ce01312d00a770726574726970ce004c4b40a76172726561727300aa68797374657265736973ce0007a120a97265636f6e6e656374ce000f4240ab6d61785f62616c616e6365cf000009184e72a000a97265706561745f6d73ce00dbba00aa7265706561745f6d617803a96f766572647261667400",
    ),
    (
        state.SiteRecord(site="s", title_zh="苑", title_en="Court", zone="Asia/Shanghai", currency="CNY"),
        "85a473697465a173a87469746c655f7a68a3e88b91a87469746c655f656ea5436f757274a47a6f6e65ad417369612f5368616e67686169a863757272656e6379a3434e59",
    ),
    (
        state.PlanRecord(
            assignments=(
                state.Assignment(starts_at=0, tariff="flat"),
                state.Assignment(starts_at=9, tariff="tou", persons=4, capacity_w=3000, restart=True),
            )
        ),
        "81ab61737369676e6d656e74739285a97374617274735f617400a6746172696666a4666c6174a7706572736f6e7301aa63617061636974795f7700a772657374617274c285a97374617274735f617409a6746172696666a3746f75a7706572736f6e7304aa63617061636974795f77cd0bb8a772657374617274c3",
    ),
    (
        state.KeptOutcome(content=bytes(16), outcome=Outcome(id=ID, kind="recharge_ordered", at=1)),
        "85a7636f6e74656e74c41000000000000000000000000000000000a76f7574636f6d6589a26964ba30314a47464a4a5a303030303030303030303030303030303031a46b696e64b072656368617267655f6f726465726564a2617401a77265667573616ca0a76163636f756e74a0a56d6574657200ad616d6f756e745f6d6963726f7300ae62616c616e63655f6d6963726f7300a664657461696ca0a7706f7374696e6700a76368616e6e656ca0ab72657665727365645f6279a0",
    ),
    (
        state.QuarantineCase(meter=5, reason="jump", since=1, last=2, count=3, baseline=4, register=6, usage=7),
        "89a56d6574657205a6726561736f6ea46a756d70a573696e636501a46c61737402a5636f756e7403a8626173656c696e6504a8726567697374657206a5757361676507ab72656c65617365645f617400",
    ),
    (
        state.OpenCommand(
            meter=5, epoch=1, wanted=Supply.OFF, reason=Reason.ARREARS, stage="queued", at=1, expires_at=2, attempt=1
        ),
        "8ca56d6574657205a565706f636801a677616e74656401a6726561736f6e01a57374616765a6717565756564a2617401aa657870697265735f617402a7617474656d707401a872657472795f617400a664657461696ca0a7616c61726d6564c2a6627574746f6ec2",
    ),
    (
        state.Forced(meter=5, wanted=Supply.ON, until=9, operator="o", note="n", id=ID),
        "86a56d6574657205a677616e74656402a5756e74696c09a86f70657261746f72a16fa46e6f7465a16ea26964ba30314a47464a4a5a303030303030303030303030303030303031",
    ),
    (
        state.Control(
            meter=5,
            terms=facts.ControlTerms(zone="UTC"),
            protection=state.Protection(until=9, operator="o", note="n", id=ID),
            cut=state.LoadCut(
                reason=Reason.SAFETY, since=1, watts=2, allowed_w=3, restore_at=4, day=5, restores=6, is_over=True
            ),
            look_at=7,
        ),
        "85a56d6574657205a57465726d738ba47a6f6e65a3555443a8686f6c696461797390a76e6f5f7472697090a87363686564756c6590ad706f7765725f6c696d69745f7700b06d616c69676e616e745f737465705f7700a9746f6c65726174656490ab77686974656c6973746564c2a8726573746f72657303af726573746f72655f776169745f6d73ce000493e0a6627574746f6ec2aa70726f74656374696f6e84a5756e74696c09a86f70657261746f72a16fa46e6f7465a16ea26964ba30314a47464a4a5a303030303030303030303030303030303031a363757488a6726561736f6e04a573696e636501a5776174747302a9616c6c6f7765645f7703aa726573746f72655f617404a364617905a8726573746f72657306a769735f6f766572c3a76c6f6f6b5f617407",
    ),
    (
        state.UseWhileOff(meter=5, since=1, last=2, usage=3, alarmed=True),
        "85a56d6574657205a573696e636501a46c61737402a5757361676503a7616c61726d6564c3",
    ),
    (
        state.ChargeItem(
            account="A1",
            item="rent",
            kind=ItemKind.RENT,
            amount_micros=5,
            period=Period.MONTH,
            starts=9,
            zone="UTC",
            ends=99,
            area=80_000,
            partial=True,
            title="t",
            id=ID,
            day=9,
            due_at=7,
        ),
        "8ea76163636f756e74a24131a46974656da472656e74a46b696e64a472656e74ad616d6f756e745f6d6963726f7305a6706572696f64a56d6f6e7468a673746172747309a47a6f6e65a3555443a4656e647363a461726561ce00013880a77061727469616cc3a57469746c65a174a26964ba30314a47464a4a5a303030303030303030303030303030303031a364617909a66475655f617407",
    ),
    (
        state.ChargedItem(account="A1", item="rent", until=9),
        "83a76163636f756e74a24131a46974656da472656e74a5756e74696c09",
    ),
    (
        state.StandingAlarm(meter=5, kind=AlarmKind.OFFLINE, since=1, last=2, repeats=3, reason="r"),
        "86a56d6574657205a46b696e64a76f66666c696e65a573696e636501a46c61737402a77265706561747303a6726561736f6ea172",
    ),
    (
        Alarm(
            id="1",
            kind=AlarmKind.BALANCE_LOW,
            state=AlarmState.RAISED,
            at=1,
            account="A1",
            meter=5,
            balance=-1,
            threshold=2,
            repeat=3,
            reason="r",
        ),
        "8ba26964a131a46b696e64ab62616c616e63655f6c6f77a57374617465a6726169736564a2617401a76163636f756e74a24131a56d6574657205a762616c616e6365ffa97468726573686f6c6402a672657065617403a6726561736f6ea172a6616d6f756e7400",
    ),
    (
        Command(
            meter=5,
            epoch=1,
            wanted=Supply.OFF,
            reason=Reason.ARREARS,
            stage=Stage.QUEUED,
            at=1,
            expires_at=2,
            attempt=1,
        ),
        "89a56d6574657205a565706f636801a677616e74656401a6726561736f6e01a57374616765a6717565756564a2617401aa657870697265735f617402a7617474656d707401a6627574746f6ec2",
    ),
    (
        Outcome(
            id=ID,
            kind="refund_ordered",
            at=1,
            refusal="unknown_account",
            account="A1",
            meter=5,
            amount_micros=2,
            balance_micros=-3,
            detail="d",
        ),
        "89a26964ba30314a47464a4a5a303030303030303030303030303030303031a46b696e64ae726566756e645f6f726465726564a2617401a77265667573616caf756e6b6e6f776e5f6163636f756e74a76163636f756e74a24131a56d6574657205ad616d6f756e745f6d6963726f7302ae62616c616e63655f6d6963726f73fda664657461696ca164",
    ),
    (
        state.MeterClock(meter=5, ahead=3, alarmed=True, counted_at=7),
        "84a56d6574657205a5616865616403a7616c61726d6564c3aa636f756e7465645f617407",
    ),
    (
        state.PurchaseCount(meter=5, counted=7, accepted=6),
        "83a56d6574657205a7636f756e74656407a8616363657074656406",
    ),
]

BLOCKS = [
    (
        (),
        "02000000000000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f",
    ),
    (
        ("power",),
        "02000000010000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f38ffffffffffffff022c010000",
    ),
    (
        ("status",),
        "02000000020000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f0000000000000000010300",
    ),
    (
        ("bands",),
        "02000000040000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f01000000000000000100010203040506070809",
    ),
    (
        ("power", "status"),
        "02000000030000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f38ffffffffffffff022c0100000000000000000000010300",
    ),
    (
        ("power", "bands"),
        "02000000050000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f38ffffffffffffff022c01000001000000000000000100010203040506070809",
    ),
    (
        ("status", "bands"),
        "02000000060000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f000000000000000001030001000000000000000100010203040506070809",
    ),
    (
        ("power", "status", "bands"),
        "02000000070000000000000000000000080100000000000000ff0fa5d4e8000000007c291f9401000002000060ea0000000000000000080000000000000000ffffffffffffff7f38ffffffffffffff022c010000000000000000000001030001000000000000000100010203040506070809",
    ),
]

PACKED = [
    (
        "POSTING",
        "0100000000000000020000000000000003000000040005000600000000000000070000000000000008000000090000000a000000000000000b000000000000000c00000000000000",
    ),
    ("USAGE", "01000000000000000200000003000000040000000000000005000000000000000600000007080900"),
    ("QUARANTINED", "01000000000000000200000000000000030000000000000004000000000000000506070008000000"),
    ("ACCOUNT", "0100000000000000020000000304050607000000000000000800000000000000090000000a0000000b0c0d000e000000"),
    (
        "ACCOUNT_TERMS",
        "0100000000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000700000000000000080000000000000009000000000000000a000000000000000b0000000c0d0e00",
    ),
    (
        "METER",
        "0100000000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000700000008000000090000000a0000000b000c0d0e0f10001100000000000000120000000000000013000000000000001400000000000000150000000000000016000000000000001700000018000000190000001a0000001b1c1d1e1f000000",
    ),
    (
        "METER_TERMS",
        "0100000000000000020000000000000003000000000000000400000005000000060000000700000008090a0b0c0000000d0000000e000000",
    ),
    (
        "WATCH",
        "010000000000000002000000000000000300000000000000040000000000000005000000000000000600000007000000080000000000000009000000000000000a0000000b000c000d000e000f00000010000000110000001200000013000000",
    ),
    (
        "BAND_REGISTERS",
        "0100000000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000700000008090a00",
    ),
    ("COUNTER", "010000000000000002000000030000000400000000000000"),
]


def fields_of(kind, version, body):
    """A log entry's fields as the server returns them."""
    return {b"k": kind.encode(), b"v": str(version).encode(), b"b": body}


def as_read(fields):
    """What a log entry's fields are when they come back from the server."""
    return {key.encode(): value.encode() if isinstance(value, str) else value for key, value in fields.items()}


@pytest.mark.parametrize(("fact", "body"), FACTS, ids=lambda value: type(value).__name__)
def test_a_fact_keeps_its_bytes(fact, body):
    """A fact is written as it always was, and what was written once is read as the same fact."""
    fields = encode_fact(fact)

    assert fields == {"k": fact.KIND, "v": "1", "b": bytes.fromhex(body)}
    assert decode_fact(fields_of(fact.KIND, 1, bytes.fromhex(body))) == fact


def test_every_kind_of_fact_has_golden_bytes():
    """A new kind of fact, or a new version, gets golden bytes with it."""
    golden = {(type(fact).KIND, type(fact).VERSION) for fact, _ in FACTS}

    assert golden == {(kind.KIND, kind.VERSION) for kind in facts.RECORDS}
    assert (ReadingBlock.KIND, ReadingBlock.VERSION) == ("readings", 2)


OPTIONAL = {
    "power": np.array([100, -200], np.int64),
    "status": np.array([3, 0], np.int64),
    "bands": np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], np.int64),
}


def block_of(*optional):
    """Two readings with some of the optional columns."""
    return ReadingBlock(
        meter=np.array([1, 999_999_999_999], np.int64),
        time=np.array([1_735_689_600_000, 1_735_689_660_000], np.int64),
        register=np.array([0, MAX], np.int64),
        **{name: OPTIONAL[name] for name in optional},
    )


def same_block(one, other):
    """Whether two blocks have the same columns, with the same values."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(ReadingBlock)]
    return all(
        (left is None) == (right is None) and (left is None or np.array_equal(left, right)) for left, right in pairs
    )


@pytest.mark.parametrize(
    ("optional", "body"), BLOCKS, ids=lambda value: "+".join(value) if value and isinstance(value, tuple) else ""
)
def test_a_reading_block_keeps_its_bytes(optional, body):
    """A block is written as it always was, with each choice of optional columns, and read as the same block."""
    block = block_of(*optional)

    assert encode_fact(block) == {"k": "readings", "v": "2", "b": bytes.fromhex(body)}
    assert same_block(decode_fact(fields_of("readings", 2, bytes.fromhex(body))), block)


int64 = st.integers(-(2**63), MAX)
near = st.integers(0, 1 << 33).flatmap(lambda reach: st.integers(-5, reach))


@st.composite
def blocks(draw):
    """Any reading block, the empty one too."""
    n = draw(st.integers(0, 6))

    def column(width=1):
        return np.array(
            draw(st.lists(draw(st.sampled_from([int64, near])), min_size=n * width, max_size=n * width)), np.int64
        )

    return ReadingBlock(
        column(),
        column(),
        column(),
        power=column() if draw(st.booleans()) else None,
        status=column() if draw(st.booleans()) else None,
        bands=column(5).reshape(n, 5) if draw(st.booleans()) else None,
    )


@given(blocks())
def test_a_block_comes_back_as_it_was(block):
    """Any block, whatever columns it has and however many readings, is read as it was written."""
    assert same_block(decode_fact(as_read(encode_fact(block))), block)


def any_of(kind):
    """Any record of a kind."""
    return st.builds(kind, **{field.name: any_value(field.type) for field in msgspec.structs.fields(kind)})


def any_value(kind):
    """Any value of a field's type that fits MessagePack."""
    if kind is int:
        return int64
    if kind == tuple[int, ...]:
        return st.lists(int64, max_size=5).map(tuple)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any_of(kind)
    if typing.get_origin(kind) is tuple:
        return st.lists(any_value(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if isinstance(kind, types.UnionType):
        return st.one_of([any_value(each) for each in typing.get_args(kind)])
    return st.none() if kind is type(None) else st.from_type(kind)


@given(st.one_of([any_of(kind) for kind in facts.RECORDS]))
def test_a_fact_comes_back_as_it_was(fact):
    """Any fact is read as it was written."""
    assert decode_fact(as_read(encode_fact(fact))) == fact


@given(blocks(), st.data())
def test_a_block_cut_short_is_refused(block, data):
    """A block that lost or gained bytes is never read as a smaller one."""
    body = encode_fact(block)["b"]
    cut = data.draw(st.integers(0, len(body) - 1))

    for damaged in (body[:cut], body + b"\0"):
        with pytest.raises(FormatError, match="restore the shard's log from a backup"):
            decode_fact(fields_of("readings", 2, damaged))


@given(st.binary(max_size=60), st.sampled_from(["readings", *(kind.KIND for kind in facts.RECORDS)]))
def test_no_damage_is_another_error(body, kind):
    """Whatever bytes are in an entry, reading it gives a fact or a FormatError."""
    with contextlib.suppress(FormatError):
        decode_fact(fields_of(kind, 2 if kind == "readings" else 1, body))


@pytest.mark.parametrize(
    "fields",
    [{}, {b"k": b"ticked"}, {b"k": b"\xff", b"v": b"1", b"b": b""}, {b"k": b"ticked", b"v": b"one", b"b": b""}],
    ids=["empty", "half", "not-utf-8", "not-a-version"],
)
def test_what_is_no_entry_is_refused(fields):
    """An entry that somebody else put into the log is refused, with what to do."""
    with pytest.raises(FormatError, match=r"not a log entry.*restore the shard's log from a backup"):
        decode_fact(fields)


def test_a_record_with_a_field_missing_names_it():
    """A damaged record is refused by kind, version and field."""
    with pytest.raises(FormatError, match=r"kind 'ticked' version 1: .*`at`.*restore"):
        decode_fact(fields_of("ticked", 1, msgspec.msgpack.encode({})))


def test_columns_of_a_later_release_are_refused():
    """A block with a column that this release does not know is not read without it."""
    body = (0).to_bytes(4, "little") + (8).to_bytes(4, "little")

    with pytest.raises(FormatError, match="columns 8"):
        decode_fact(fields_of("readings", 2, body))


@pytest.mark.parametrize(("kind", "version"), [("readings", 3), ("ticked", 2), ("meter_lost", 1)])
def test_a_fact_of_a_later_release_is_refused(kind, version):
    """A kind or version that this release does not know stops it, and the message says to update."""
    with pytest.raises(FormatError, match=f"kind '{kind}' version {version}: written by a later release.*Update"):
        decode_fact(fields_of(kind, version, b"\x80"))


@pytest.mark.parametrize(("record", "packed"), RECORDS, ids=lambda value: type(value).__name__)
def test_a_record_keeps_its_bytes(record, packed):
    """Records of state and effects are written as they always were, and read as the same."""
    assert pack(record).hex() == packed
    assert msgspec.msgpack.decode(bytes.fromhex(packed), type=type(record)) == record


def test_a_header_of_release_0_1_0_is_read():
    """It says no entry of its last tick, which is as if there had been none."""
    packed = "86a36e6f7701b0706f7374696e675f73657175656e636502a5636861696ec420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1faa7072756e65645f64617903a7636c61737365739d01010101010101010101010101a57573616765920405"
    header = next(record for record, _ in RECORDS if isinstance(record, state.ShardHeader))

    assert msgspec.msgpack.decode(bytes.fromhex(packed), type=state.ShardHeader) == msgspec.structs.replace(
        header, ticked=0
    )


def test_every_record_has_golden_bytes():
    """A new kind of record gets golden bytes with it."""
    golden = {type(record) for record, _ in RECORDS}

    assert golden == {record for _, record in state.RECORDS.values()} | {state.ShardHeader, Alarm, Command, Outcome}


@pytest.mark.parametrize(
    "record", [*(record for _, record in state.RECORDS.values()), state.ShardHeader, effects.Alarm, effects.Outcome]
)
def test_a_record_comes_back_as_it_was(record):
    """Any record is read as it was written."""

    @given(any_of(record))
    def comes_back(value):
        assert msgspec.msgpack.decode(pack(value), type=record) == value

    comes_back()


@given(st.text() | st.binary() | int64)
def test_a_key_comes_back_as_it_was(value):
    """The key of a record is read from its hash field as it was written."""
    assert key_value(type(value), key_bytes(value)) == value


ROWS = {
    "POSTING": (
        POSTING,
        72,
        "sequence:0 at:8 account:16 debit:20 credit:22 amount:24 meter:32 day:40 pad:44 order_high:48 order_low:56 corrects:64",
    ),
    "USAGE": (USAGE, 40, "meter:0 start:8 day:12 usage:16 cost_micros:24 cost_picos:32 band:36 estimated:37 pad:38"),
    "QUARANTINED": (QUARANTINED, 40, "meter:0 time:8 register:16 baseline:24 metering:32 pad1:33 pad2:34 pad3:36"),
    "ACCOUNT": (
        ACCOUNT,
        48,
        "balance:0 balance_picos:8 level:12 repeats:13 tripped:14 settled:15 alarmed_at:16 allowance:24 allowance_picos:32 allowance_month:36 state:40 cut:41 pad1:42 pad2:44",
    ),
    "ACCOUNT_TERMS": (
        ACCOUNT_TERMS,
        88,
        (
            "low:0 pretrip:8 arrears:16 hysteresis:24 reconnect:32 max_balance:40 repeat_ms:48 repeat_max:56 overdraft:64"
            " allowance:72 allowance_from:80 allowance_kind:84 pad1:85 pad2:86"
        ),
    ),
    "METER": (
        METER,
        144,
        (
            "time:0 register:8 window_usage:16 window_cost:24 day_usage:32 day_cost:40 window_start:48 window_picos:52"
            " day_picos:56 power:60 status:64 window_band:66 window_estimated:67 has_power:68 heard_last:69 pad2:70 suspect:72"
            " month_usage:80 closed_usage:88 still_since:96 day_free:104 daily_usage:112 day:120 month:124 day_free_picos:128 epoch:132"
            " wanted:136 reason:137 seen:138 held:139 vacant_usage:140"
        ),
    ),
    "METER_TERMS": (
        METER_TERMS,
        56,
        (
            "number:0 modulus:8 rated_per_hour:16 account:24 ratio:28 plan:32 counter:36 commodity:40 switchable:41 brackets:42"
            " removed:43 bands:44 power_limit:48 step:52"
        ),
    ),
    "BAND_REGISTERS": (
        BAND_REGISTERS,
        56,
        "time:0 sharp:8 peak:16 flat:24 valley:32 deep_valley:40 meter:48 most:52 pad1:53 pad2:54",
    ),
    "WATCH": (
        WATCH,
        96,
        (
            "day_usage:0 month_usage:8 night_usage:16 offline_ms:24 stuck_ms:32 stuck_w:40 reverse_w:44 since:48 night_total:56"
            " meter:64 night_from:68 night_until:70 raised:72 pad1:74 pad2:76 day:80 day_vacant:84 month_vacant:88 night_vacant:92"
        ),
    ),
    "COUNTER": (COUNTER, 24, "used:0 period:8 picos:12 micros:16"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_keeps_its_layout(name):
    """Packed rows have the size and the fields that stores and archives were written with, without holes."""
    dtype, size, layout = ROWS[name]
    fields = [(field, *dtype.fields[field]) for field in dtype.names]

    assert dtype.itemsize == size
    assert " ".join(f"{field}:{offset}" for field, _, offset in fields) == layout
    assert sum(kind.itemsize for _, kind, _ in fields) == size
    assert all(kind.byteorder in "<|" or kind.newbyteorder("<") == kind for _, kind, _ in fields)


def numbered(dtype):
    """A row whose fields count from 1."""
    return np.array([tuple(range(1, len(dtype.names) + 1))], dtype)


@pytest.mark.parametrize(("name", "packed"), PACKED)
def test_a_row_keeps_its_bytes(name, packed):
    """A row is written as it always was, little-endian whatever the machine."""
    assert numbered(ROWS[name][0]).tobytes().hex() == packed


def test_an_alarm_message_keeps_its_words():
    """The JSON that consumers get has these names, decimal strings and times; version 1."""
    alarm = Alarm(
        id="03-1735689600000-0-0",
        kind=AlarmKind.BALANCE_LOW,
        state=AlarmState.RAISED,
        at=1_735_689_600_007,
        account="A1",
        meter=5,
        balance=19_500_000,
        threshold=20_000_000,
        repeat=1,
    )
    record = state.AccountRecord(
        row=0, account="A1", currency="CNY", name="王", place=PLACE, alarms=AlarmTerms(), opened_at=1
    )

    assert msgspec.to_builtins(alarm_message(alarm, record)) == {
        "v": 1,
        "id": "03-1735689600000-0-0",
        "about": "000000000005:balance_low",
        "kind": "balance_low",
        "level": "low",
        "severity": "warning",
        "state": "raised",
        "at": "2025-01-01T00:00:00.007Z",
        "recorded_at": "2025-01-01T00:00:00.000Z",
        "site": "s",
        "building": "b",
        "room": "101",
        "account": "A1",
        "meter": "000000000005",
        "currency": "CNY",
        "balance": "19.50",
        "threshold": "20.00",
        "repeat": 1,
        "reason": "",
        "amount": "0.00",
        "cleared": False,
        "text": {
            "zh": "b 101 告警：余额不足，余额 19.50 CNY",
            "en": "b 101: alarm, balance low, balance 19.50 CNY",
        },
    }


def test_an_alarm_of_no_account_has_its_meter():
    """An alarm whose account is not known still says which meter, and has every name."""
    alarm = Alarm(
        id="00-1-0-0", kind=AlarmKind.QUARANTINE, state=AlarmState.CLEARED, at=0, meter=5, reason="unknown_meter"
    )

    message = alarm_message(alarm, None)

    assert (message.site, message.account, message.meter, message.level) == ("", "", "000000000005", "")
    assert message.about == "000000000005:quarantine:unknown_meter"
    assert message.cleared is True
    assert (
        message.text.en
        == "000000000005: alarm cleared, readings held for a person to decide, meter 000000000005 (unknown_meter)"
    )


@given(st.integers(EARLIEST_MS, LATEST_MS))
@example(EARLIEST_MS)
@example(LATEST_MS)
@example(-1)
def test_a_time_is_written_as_the_library_writes_it(at):
    """Every time of every calendar year, to the millisecond."""
    written = datetime(1970, 1, 1) + timedelta(milliseconds=at)  # noqa: DTZ001 - UTC, written with its Z

    assert iso(at) == written.isoformat(timespec="milliseconds") + "Z"
    assert (iso(EARLIEST_MS - 1), iso(LATEST_MS + 1)) == (iso(EARLIEST_MS), iso(LATEST_MS))


@pytest.mark.parametrize("name", ROWS)
def test_fields_of_a_row_that_are_picked_are_those_that_are_asked_for(name):
    """Reading some fields at once, for speed, gives what each is, negative ones too; named out of their order they are refused."""
    dtype = ROWS[name][0]
    row, names = np.frombuffer(bytes(range(256))[-dtype.itemsize :], dtype)[0], dtype.names[1::2]

    assert picked(dtype, *names)(row) == tuple(row[each].item() for each in names)
    with pytest.raises(AssertionError, match="comes before the field that is named before it"):
        picked(dtype, names[1], names[0])
