"""`voiceedge key`: keys by which other programs use the API (docs/api.md), and the one that signs links."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.control import ask
from voiceedge.cli.options import ConfigOption, JsonOption
from voiceedge.web.keys import Scope

key_app = typer.Typer(no_args_is_help=True, help="Keys by which other programs use the API (docs/api.md).")
app.add_typer(key_app, name="key")


@key_app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is for, such as kakao; the access log tells it.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; once for each.")],
    tenant: Annotated[str, typer.Option(help="Whose conversations it sees.")] = "main",
    expires: Annotated[float | None, typer.Option(help="Days until it ends; unset: never.")] = None,
    config_file: ConfigOption = None,
) -> None:
    """Make a key and print it: it is shown this once only."""
    wish = {"name": name, "tenant": tenant, "scopes": [one.value for one in scope], "expires_days": expires}
    typer.echo(ask(config_file, "key_add", wish)["key"])


@key_app.command("list")
def list_(as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """List all keys, without their secrets."""
    keys = ask(config_file, "key_list")["keys"]
    if as_json:
        typer.echo(json.dumps(keys, ensure_ascii=False))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("key", "name", "tenant", "state", "scopes"):
        table.add_column(column, no_wrap=column != "scopes")
    for key in keys:
        expires = key["expires_at"]
        over = expires and datetime.fromisoformat(expires) <= datetime.now(UTC)
        state = (
            "revoked" if key["revoked_at"] else "expired" if over else f"until {expires[:10]}" if expires else "good"
        )
        table.add_row(key["id"], key["name"], key["tenant"], state, " ".join(key["scopes"]))
    Console(highlight=False).print(table)


@key_app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name or id, as `key list` shows them.")], config_file: ConfigOption = None
) -> None:
    """Let keys of this name open nothing any more; within 5 seconds where another node has just seen them."""
    typer.echo(f"{ask(config_file, 'key_revoke', {'name': name})['revoked']} revoked")


@key_app.command()
def rotate(
    prepare: Annotated[
        bool, typer.Option(help="Only make the next key, for other nodes to have before one of them signs with it.")
    ] = False,
    config_file: ConfigOption = None,
) -> None:
    """Sign links to conversations with a new key from now on; those under the old one hold until they expire."""
    if prepare:
        path = ask(config_file, "token_key_prepare")["path"]
        typer.echo(f"{path}: copy it to site.data_dir of all nodes, then rotate at each")
    else:
        typer.echo(f"links are signed by key {ask(config_file, 'token_key_rotate')['key']} now")
