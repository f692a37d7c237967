"""What `deploy/` says, held against the specifications, our own command line, and a real server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import redis
import typer
import yaml

from connectors.redis.errors import StoreError, StoreRefused
from connectors.redis.notices import Notices
from connectors.redis.server import EmbeddedServer, binary
from connectors.redis.snapshot import write_snapshot
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.facts import Ticked
from domain.ids import LOG_START
from meterline import COMMANDS, app_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
RELEASES = ["1.31", "1.33", "1.35", "1.37"]
FOREIGN = {"REDISCLI_AUTH", "PARTS", "XDG_CACHE_HOME", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
"""Variables that are not ours: of valkey-cli, of a line of shell, and of others."""


def documents():
    """Every Kubernetes object, with the file that it is in."""
    return [(path.name, each) for path in MANIFESTS for each in yaml.safe_load_all(path.read_text("utf-8"))]


def pods():
    """The pod of every workload, by its name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for _, each in documents() if "template" in each.get("spec", {})
    }  # fmt: skip


def ours():
    """The pods that run commands of ours."""
    return {name: pod for name, pod in pods().items() if pod["containers"][0]["image"] == "meterline"}


def words_of(pod):
    """The command line of a pod, such as the kubelet and a shell would make it of its first replica."""
    (container,) = pod["containers"]
    if "args" in container:
        return container["args"]
    *shell, line = container["command"]
    assert shell == ["tini", "--", "sh", "-c"]
    known = {each["name"]: each["value"] for each in container["env"]}
    said = subprocess.run(
        ["sh", "-c", line.replace("exec meterline", "printf '%s\\n'")],
        env={"HOSTNAME": "settle-0", **known}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return said.stdout.split()


def command_lines():
    """Every command line of ours in the deployments."""
    compose = {f"compose {name}": each["command"] for name, each in COMPOSE["services"].items() if name != "valkey"}
    return compose | {f"kubernetes {name}": words_of(pod) for name, pod in ours().items()}


def test_compose_is_as_its_specification_says():
    """A misspelt key would be ignored by some versions and refused by others."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_manifests_are_as_kubernetes_defines_them(release):
    """Every object exists in these releases, with these fields and no others."""
    for _, each in documents():
        kubernetes_validate.validate(each, release, strict=True)


def test_the_kustomization_names_every_file_and_each_exists():
    """A manifest that is added is applied, but for the template of secrets, whose emptiness would replace the real ones."""
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text("utf-8"))
    files = {name for each in kustomization["configMapGenerator"] for name in each["files"]}

    named = {DEPLOY / name for name in kustomization["resources"]}
    assert named == {*MANIFESTS} - {DEPLOY / "kubernetes" / "secrets.template.yaml"}
    assert files == {"valkey.conf", "site.toml"}


@pytest.mark.parametrize(("where", "words"), command_lines().items(), ids=command_lines())
def test_every_command_line_is_one_of_ours(where, words):
    """An option that is renamed is renamed in the deployments too."""
    name, *arguments = words
    assert name in COMMANDS

    command = typer.main.get_command(app_of([name])).commands[name]

    command.make_context(name, [*arguments])


def test_both_deployments_run_every_process():
    """Nobody forgets the clock: what `docs/scaling.md` lists is in both, and every part is settled once."""
    table = (ROOT / "docs" / "scaling.md").read_text("utf-8").split("## The processes of several hosts")[1]
    listed = set(re.findall(r"^\| `meterline (\w+)", table, re.MULTILINE))
    lines = command_lines()
    parts = [words[2] for where, words in lines.items() if where.startswith("compose settle")]
    settle = ours()["settle"]["containers"][0]["env"]
    replicas = [each["spec"]["replicas"] for _, each in documents() if each["kind"] == "StatefulSet"]

    for kind in ("compose", "kubernetes"):
        assert {words[0] for where, words in lines.items() if where.startswith(kind)} == listed
    assert parts == ["1/2", "2/2"]
    assert words_of(ours()["settle"])[:3] == ["settle", "--part", "1/2"]
    assert [{"name": "PARTS", "value": str(replicas[0])}] == settle
    assert replicas == [2, 1]


def test_every_variable_is_documented():
    """A variable in a deployment is in the table of docs/commands.md, or is known to be somebody else's."""
    table = (ROOT / "docs" / "commands.md").read_text("utf-8")
    named = {
        *re.findall(r"^ENV (\w+)=", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE),
        *(name for each in COMPOSE["services"].values() for name in each.get("environment", {})),
        *(each["name"] for pod in ours().values() for each in pod["containers"][0].get("env", [])),
        *(name for _, each in documents() if each["kind"] == "Secret" for name in each["stringData"]),
    }
    image = {"PATH", "UV_COMPILE_BYTECODE", "users.acl", "contacts.toml"}

    assert {name for name in named - FOREIGN - image if f"`{name}`" not in table} == set()
    assert "XDG_CACHE_HOME" in table


def test_no_secret_has_a_value(tmp_path):
    """The template is empty, Compose takes secrets from files that git never sees, and nothing that looks like one is written down."""
    secrets = [each for name, each in documents() if each["kind"] == "Secret"]
    files = {file for each in COMPOSE["services"].values() for file in each["env_file"]}
    ignored = subprocess.run(
        ["git", "check-ignore", *(f"deploy/{file}" for file in sorted(files)), "deploy/site.toml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    text = "\n".join(path.read_text("utf-8") for path in DEPLOY.rglob("*.*") if path.parent.name != "secrets")

    assert {value for each in secrets for value in each["stringData"].values()} == {""}
    assert len(ignored.stdout.splitlines()) == len(files) + 1 == 6
    assert not re.search(r"[0-9a-f]{32}|redis://\w+:\w", text)
    assert all(
        name not in each.get("environment", {})
        for each in COMPOSE["services"].values()
        for name in ("REDIS_URL", "METERLINE_API_TOKEN")
    )


def test_nothing_runs_with_more_rights_than_it_needs():
    """No root, no capability, nothing written but where a volume is, no more memory than is said; and only the API and the server have doors."""
    for name, each in COMPOSE["services"].items():
        assert each["user"].split(":")[0] not in {"0", "root"}, name
        assert each["read_only"], name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each["deploy"]["resources"]["limits"], name
    assert [name for name, each in COMPOSE["services"].items() if "ports" in each] == ["serve"]
    assert COMPOSE["services"]["serve"]["ports"] == ["127.0.0.1:8080:8080"]
    for name, pod in pods().items():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"]["limits"]["memory"], name
        mounted = {each["name"] for each in container["volumeMounts"]}
        claimed = {"data"} if name == "valkey" else set()
        assert mounted == {each["name"] for each in pod["volumes"]} | claimed, name


def test_what_refers_to_something_finds_it():
    """Services, policies and budgets select pods that there are, and pods mount and read what there is."""
    labels = [
        each["spec"]["template"]["metadata"]["labels"] for _, each in documents() if "template" in each.get("spec", {})
    ]
    secrets = {each["metadata"]["name"] for _, each in documents() if each["kind"] == "Secret"}
    for _, each in documents():
        selector = each.get("spec", {}).get("selector", {})
        wanted = selector.get("matchLabels", selector)
        if each["kind"] in {"Service", "PodDisruptionBudget", "Deployment", "StatefulSet"}:
            assert any(wanted.items() <= found.items() for found in labels), each["metadata"]["name"]
    read = {source["secretRef"]["name"] for pod in pods().values() for source in pod["containers"][0]["envFrom"]}
    assert read | {"users", "contacts"} == secrets


def test_the_image_holds_what_is_imported():
    """What the wheel is made of is copied into the image, and the ignore file lets it through."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    let_through = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"}

    assert {name.strip("/") for name in wheel["include"]} <= names
    assert names == let_through


class Deployed:
    """The server as it is deployed: our settings and users, only the folder and the port are others."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        made = subprocess.run([DEPLOY / "make-secrets.sh", folder / "secrets"], check=False, capture_output=True)
        assert made.returncode == 0, made.stderr
        settings = (DEPLOY / "valkey.conf").read_text("utf-8")
        settings = settings.replace("port 6379", f"port {self.port}").replace("bind * -::*", "bind 127.0.0.1")
        settings = settings.replace("dir /data", f"dir {folder}")
        settings = settings.replace("/etc/valkey/users.acl", str(folder / "secrets" / "users.acl"))
        (folder / "valkey.conf").write_text(settings, "utf-8")

    def start(self):
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen([binary(), self.folder / "valkey.conf"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            with (
                contextlib.suppress(redis.ConnectionError, redis.exceptions.BusyLoadingError),
                self.client("reader") as client,
            ):
                return client.ping()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def url(self, user):
        """How a user reaches it."""
        if user == "reader":
            password = self.variable("valkey.env", "REDISCLI_AUTH")
            return f"redis://reader:{password}@127.0.0.1:{self.port}"
        return self.variable(f"{user}.env", "REDIS_URL").replace("valkey:6379", f"127.0.0.1:{self.port}")

    def variable(self, file, name):
        """A variable in one of the secret files."""
        (line,) = (self.folder / "secrets" / file).read_text().splitlines()
        assert line.startswith(f"{name}=")
        return line.removeprefix(f"{name}=")

    def client(self, user):
        """A plain client."""
        return redis.Redis.from_url(self.url(user))


def free_port():
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def deployed(tmp_path):
    """A running server as it is deployed."""
    server = Deployed(tmp_path)
    server.start()
    yield server
    server.process.kill()
    server.process.wait()


def settings_of(client):
    """What decides whether money is kept."""
    names = ["appendonly", "appendfsync", "aof-use-rdb-preamble", "save", "maxmemory-policy", "databases", "repl-diskless-sync", "repl-diskless-sync-delay"]  # fmt: skip
    return {name: client.config_get(name)[name] for name in names}


def users_of(text):
    """Users and rights, without passwords."""
    return sorted(re.sub(r"#[0-9a-f]{64}", "#", line) for line in text.splitlines() if line.startswith("user "))


def test_the_deployed_server_keeps_money_as_the_embedded_one_does(deployed, server: EmbeddedServer):
    """Settings and users are those of the server that we start ourselves, and both survive a kill with all that was answered."""
    users = users_of((deployed.folder / "secrets" / "users.acl").read_text())
    embedded = users_of((server.data / "redis" / "server.conf").read_text())
    with deployed.client("writer") as here, redis.Redis.from_url(server.url) as there:
        assert settings_of(here) == settings_of(there)
    store = Store.open(deployed.url("writer"), 2)
    store.append_to_all(Ticked(at=1))
    os.kill(deployed.process.pid, signal.SIGKILL)
    deployed.process.wait()
    deployed.start()

    assert users == embedded
    again = Store.open(deployed.url("writer"))
    assert [fact for _, fact in again.read(1, LOG_START, 9)] == [Ticked(at=1)]


def test_the_deployed_users_have_their_rights_and_no_more(deployed, tmp_path):
    """Ours write and back up, the archiver claims and cannot append, the notifier begins and cannot either, and who has no password is refused."""
    Store.open(deployed.url("writer"), 2).append_to_all(Ticked(at=1))
    with (tmp_path / "snapshot").open("wb") as file:
        assert write_snapshot(deployed.url("writer"), file) > 0
    streams = Streams.open(deployed.url("archiver"))
    streams.claim("log", 0, LOG_START, (1, 0))
    notices = Notices.open(deployed.url("notifier"))
    notices.begin()
    notices.take_over()

    assert streams.claimed(0)["log"] == (1, 0)
    with pytest.raises(StoreRefused, match="permission"):
        Store.open(deployed.url("archiver")).append(0, Ticked(at=1))
    with pytest.raises(StoreRefused, match="permission"):
        Store.open(deployed.url("notifier")).append(0, Ticked(at=1))
    with pytest.raises(StoreError, match=r"refuses the user or password|Authentication"):
        Store.open(f"redis://127.0.0.1:{deployed.port}")


def test_secrets_are_made_once_and_are_strong(tmp_path):
    """A second call changes nothing; the API takes the token; only its owner reads what has a password in it."""
    first = Deployed(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}

    again = subprocess.run(
        [DEPLOY / "make-secrets.sh", tmp_path / "secrets"], check=False, capture_output=True, text=True
    )

    assert again.returncode == 2
    assert "is there already: secrets are made once" in again.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == before
    assert len(first.variable("api.env", "METERLINE_API_TOKEN")) == 64
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"users.acl"}
