"""Where the processes of one service find each other."""

from pathlib import Path

from voiceedge.config import Config


def control_socket(config: Config) -> Path:
    return config.site.run_dir / "control.sock"


def speech_socket(config: Config) -> Path:
    return config.site.run_dir / "speech.sock"


def worker_socket(config: Config, name: str) -> Path:
    """Of the worker called `name`, such as worker-1."""
    return config.site.run_dir / f"{name}.sock"


def front_socket(config: Config) -> Path:
    return config.site.run_dir / "front.sock"


def front_folder(config: Config) -> Path:
    """Kamailio's files and its control socket; absolute, as they name each other."""
    return (config.site.run_dir / "front").absolute()


def status_file(config: Config) -> Path:
    """JSON: which processes run, and on which ports; written by the supervisor, gone when it has stopped."""
    return config.site.run_dir / "status.json"


def recordings(config: Config) -> Path:
    return config.site.data_dir / "recordings"


def voicemail(config: Config) -> Path:
    return config.site.data_dir / "voicemail"


def drafts(config: Config) -> Path:
    """Of recordings that are sealed: in memory, where run_dir is a tmpfs as systemd makes it."""
    return config.site.run_dir / "drafts"


def prompt_cache(config: Config) -> Path:
    return config.site.data_dir / "prompts"
