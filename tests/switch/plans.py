"""A plan as a contact centre has one, for tests."""

import tomllib

from voiceedge.switch.plan import Plan

TEXT = """
[hours.office]
open = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "09:00", to = "18:00" }]

[trunks.carrier]
addresses = ["198.51.100.10"]
host = "198.51.100.10"
own_numbers = ["1588-1234", "02-1234-5678"]
caller_id = "02-1234-5678"
priority = 2
max_calls = 2
calls_per_day = 5

[trunks.cheap]
addresses = ["198.51.100.20"]
host = "sip.cheap.example"
port = 5080
transport = "tls"
number_form = "e164"
own_numbers = ["070-1234-5678"]
priority = 1
serves = ["+8210*", "+1*"]
codecs = ["PCMA"]
srtp = "required"

[trunks.pbx]
addresses = ["192.0.2.5"]

[agents.kim]
phone = "201"
queues = ["support"]

[queues.support]
[mailboxes.office]

[[routes]]
called = "1588-1234"
hours = "office"
queue = "support"

[[routes]]
called = "1588-1234"
voicemail = "office"

[[routes]]
caller = "anonymous"
reject = 433

[[routes]]
caller = "+8210*"
called = "02-1234-56*"
flow = "vip"

[[routes]]
trunk = "pbx"
number = "02-777-8888"

[[routes]]
called = "0212345678"
agent = "kim"

[guard]
international = ["+1", "+81", "+870"]
allowed = ["114", "119", "1*", "030-1234-5678"]
denied = ["+81 90*"]
"""


def plan(**changes: object) -> Plan:
    """`changes` replace keys of [guard]."""
    table = tomllib.loads(TEXT)
    table["guard"] |= changes
    return Plan.model_validate(table)
