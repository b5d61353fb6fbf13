"""The channels file: every mistake is told with its line and what to do."""

from pathlib import Path

import pytest

from voiceedge.channels.file import ChannelsFile, filled, load_channels
from voiceedge.errors import ConfigError

FILE = """
site = "보이스몰"
[channels.sms]
kind = "sms"
url = "https://sms.example/send"
json = { to = "{address}", text = "{text}" }
bearer_file = "secret"

[channels.kakao]
kind = "webhook"
url = "https://kakao.example/messages"
secret_file = "secret"
link = "https://pf.example/go?t={token}"

[channels.mail]
kind = "email"
host = "mail.example"
sender = "Voice Mall <talk@example.com>"
text.ko = "{link} ({minutes}분)"
"""


def load(directory: Path, text: str = FILE) -> ChannelsFile:
    (directory / "secret").write_text("s")
    (directory / "channels.toml").write_text(text)
    return load_channels(directory / "channels.toml")


def test_a_site_without_a_file_has_no_senders() -> None:
    assert load_channels(None).sending == {}


def test_the_file_is_read(tmp_path: Path) -> None:
    channels = load(tmp_path)
    assert set(channels.sending) == {"sms", "kakao", "mail"}
    assert channels.sending["mail"].worded("ko") == "{link} ({minutes}분)"
    assert channels.sending["mail"].worded("en").startswith("[{site}] Go on")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('kind = "sms"', 'kind = "pigeon"'), ":4: channels.sms.kind"),
        (("bearer_file", "bearer_fil"), ":7: channels.sms.bearer_fil: unknown key; did you mean bearer_file?"),
        (('text = "{text}"', 'text = "{secret}"'), 'there is no "{secret}"'),
        (("{minutes}분", "{hours}시간"), 'there is no "{hours}"'),
        (("https://sms.example", "ftp://sms.example"), ":5: channels.sms.url: give https://"),
        (("https://sms.example", "https://us:pw@sms.example"), "without a login"),
        (("https://sms.example", "https://{address}"), "without values"),
        (("[channels.mail]", "[channels.phone]"), "is the telephone's own name"),
        (('host = "mail.example"', 'host = "mail.example"\nopens = "lobby"'), "there is no web chat lobby"),
        (('bearer_file = "secret"', 'bearer_file = "nowhere"'), "channels.sms.bearer_file: "),
        (('host = "mail.example"', 'host = "mail.example"\nusername = "us"'), "password_file: belongs to a username"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in FILE
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, FILE.replace(*change))
    assert message in str(caught.value)
    assert "channels.toml" in str(caught.value)


def test_what_is_filled_in_is_not_filled_again() -> None:
    assert filled({"a": ["{x}", 1]}, {"x": "{token}", "token": "secret"}) == {"a": ["{token}", 1]}
