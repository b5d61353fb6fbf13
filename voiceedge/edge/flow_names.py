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
        channels=channels and channels.names,
        senders=channels and channels.sending,
        agents=plan and plan.agents,
        queues=plan and plan.queues,
        mailboxes=plan and plan.mailboxes,
    )
