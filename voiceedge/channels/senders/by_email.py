"""Messages by e-mail (SMTP, RFC 5321), in a thread, for the standard library's client blocks."""

import asyncio
import smtplib
import ssl
import threading
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from voiceedge.channels.file import Email
from voiceedge.channels.senders.message import Message, NotSentError
from voiceedge.clock import Clock, timeout

STEPS = 3  # of the settings' timeout, which holds for each answer of the server's
_PERMANENT = 500


class _Server(smtplib.SMTP):
    """Is told nothing more of a try that was given up: the thread lives on, and the mail will be sent again."""

    given_up: threading.Event | None = None

    def send(self, s: Any) -> None:
        if self.given_up and self.given_up.is_set():
            raise smtplib.SMTPServerDisconnected("given up")
        super().send(s)


class _TlsServer(_Server, smtplib.SMTP_SSL):
    pass


class EmailSender:
    def __init__(self, settings: Email, clock: Clock) -> None:
        self._settings, self._clock = settings, clock

    async def send(self, message: Message) -> None:
        its = self._settings
        mail = EmailMessage()
        mail["Subject"] = " ".join(message.worded(its.titled(message.language)).split())
        mail["From"], mail["To"] = its.sender, message.address
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{message.id}@{parseaddr(its.sender)[1].rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834
        mail.set_content(message.worded(its.worded(message.language)))
        given_up = threading.Event()
        try:
            async with timeout(self._clock, its.timeout_s * STEPS):
                await asyncio.to_thread(self._send, mail, given_up)
        except TimeoutError:
            raise NotSentError("no answer in time", can_retry=True) from None
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()), (_PERMANENT, b""))[0]
            raise NotSentError(f"the recipient is refused ({code})", can_retry=code < _PERMANENT) from None
        except smtplib.SMTPResponseException as error:
            raise NotSentError(f"SMTP {error.smtp_code}", can_retry=error.smtp_code < _PERMANENT) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotSentError(type(error).__name__, can_retry=True) from None
        finally:
            given_up.set()

    def _send(self, mail: EmailMessage, given_up: threading.Event) -> None:
        its = self._settings
        context = ssl.create_default_context(cafile=its.ca_file)
        if its.tls == "tls":
            server: _Server = _TlsServer(its.host, its.port, timeout=its.timeout_s, context=context)
        else:
            server = _Server(its.host, its.port, timeout=its.timeout_s)
        server.given_up = given_up
        with server:
            if its.tls == "starttls":
                server.starttls(context=context)
            if its.username and its.password_file:
                server.login(its.username, its.password_file.read_text(encoding="utf-8").strip())
            server.send_message(mail)
