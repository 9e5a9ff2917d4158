"""What a process finds round it, as docker's own command does: a login, and who speaks plain HTTP."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime import settings
from touchstone_runtime.artefacts.faults import CredentialsUnusable
from touchstone_runtime.artefacts.registries.names import Name
from touchstone_runtime.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The environment as a registry's client reads it.

    It is read at the time of use, by what every such client reads, as the clients of hubs and of object storage do;
    so no service has it among its settings.
    """

    plain_http_registries: tuple[str, ...] = ()
    """HOST or HOST:PORT of registries that are spoken to by plain HTTP; those of this machine are always."""
    docker_auth_config: str = setting(default="", env="DOCKER_AUTH_CONFIG", secret=True)
    """JSON as of a `config.json`. Empty: the file counts."""
    docker_config: Path | None = setting(default=None, env="DOCKER_CONFIG")
    """Folder of `config.json`. None: `~/.docker`."""

    @classmethod
    def read(cls) -> "Surroundings":
        """Read them of the environment.

        Raises:
            SettingsInvalid: A variable is wrong.
        """
        return settings.load(cls)

    def configuration(self, name: Name) -> str:
        """Return the JSON of Docker's configuration; empty: there is none.

        Raises:
            CredentialsUnusable: The file is there, and cannot be read.
        """
        if self.docker_auth_config:
            return self.docker_auth_config
        try:
            folder = self.docker_config or Path("~/.docker").expanduser()
            return (folder / "config.json").read_text()
        except (FileNotFoundError, NotADirectoryError, RuntimeError):  # RuntimeError: nobody's home is known
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsUnusable(name.uri, f"{folder / 'config.json'} cannot be read") from error
