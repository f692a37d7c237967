"""Sites: named places with a time zone and a currency, to which accounts belong by their `Place.site`."""

from typing import ClassVar

from domain.facts.record import Record


class SiteSet(Record, frozen=True, kw_only=True):
    """A site exists, or is called otherwise from now on. Every shard is told. `zone`: an IANA time zone."""

    KIND: ClassVar[str] = "site_set"
    id: str
    site: str
    title_zh: str
    title_en: str
    zone: str
    currency: str
