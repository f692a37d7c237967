"""What can happen in a journey, in the order of README.md: each verb with the form in which a line says it, and the fact that it is."""

from forms import Verb
from verbs_life import LIFE
from verbs_metering import METERING
from verbs_money import MONEY
from verbs_supply import SUPPLY

VERBS: tuple[Verb, ...] = (*LIFE, *MONEY, *METERING, *SUPPLY)
