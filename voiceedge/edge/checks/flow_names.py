"""What a site has that its flows can name, from the files that say so."""

from voiceedge.channels.file import ChannelsFile
from voiceedge.flow.outside import Outside, Profiles
from voiceedge.switch.plan import Plan


def outside_of(
    connectors: Profiles | None = None, channels: ChannelsFile | None = None, plan: Plan | None = None
) -> Outside:
    """None: that file is not looked at, and any of its names taken for right."""
    return Outside(
        connectors=connectors,
        channels=channels.names if channels else None,
        senders=channels.sending if channels else None,
        agents=plan.agents if plan else None,
        queues=plan.queues if plan else None,
        mailboxes=plan.mailboxes if plan else None,
    )
