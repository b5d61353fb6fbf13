"""TLS: a certificate and its key, held against each other before anything is served with them, and whom we trust."""

import functools
import ssl
from pathlib import Path

import httpx

from voiceedge.errors import ConfigError


def server_context(section: str, certificate: Path, key: Path) -> ssl.SSLContext:
    """For a server, TLS 1.2 or newer. Raises ConfigError that names the settings `certificate` and `private_key`."""
    for setting, file in (("certificate", certificate), ("private_key", key)):
        try:
            file.open("rb").close()
        except OSError as error:
            raise ConfigError(f"{section}.{setting}: {file} cannot be read: {error.strerror}.") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context, section, certificate, key)
    return context


def load(context: ssl.SSLContext, section: str, certificate: Path, key: Path) -> None:
    """Into one that serves already: the next connection has it. Raises ConfigError, and then nothing has changed."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ConfigError(
            f"{section}.certificate: {certificate} and {section}.private_key: {key} are no pair that TLS can use "
            f"({getattr(error, 'reason', None) or error}). Give the certificate with its chain, and its own key, both "
            "as PEM and without a password."
        ) from error


@functools.cache
def client_context() -> ssl.SSLContext:
    """Whom an HTTP client trusts that has no certificates of its own: asked for before a fork, it is in memory once."""
    return httpx.create_ssl_context()
