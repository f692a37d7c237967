"""Every dashboard, in the order in which docs/dashboards.md tells of them."""

from dashboards.alarms import ALARMS
from dashboards.fleet import FLEET
from dashboards.flow import FLOW
from dashboards.money import MONEY
from dashboards.rooms import ROOMS

BOARDS = (FLEET, MONEY, ALARMS, FLOW, ROOMS)
