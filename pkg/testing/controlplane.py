"""A real Kubernetes control plane on this machine, without root.

It is etcd, API server, controller manager and scheduler. Everything lies below one directory and listens on
one address. The certificates and ports are made once, so each process may be killed and started again where
it was.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing import controlplane_flags as flags
from pkg.testing.access import ClusterAccess
from pkg.testing.assets import binary
from pkg.testing.kubeconfig import by_certificate, write_kubeconfig
from pkg.testing.pki import Authority, Credentials, signing_key_pair
from pkg.testing.ports import free_port
from pkg.testing.processes import HarnessError, Process, wait_until

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
READY_SECONDS = 60
ADMINISTRATORS = "system:masters"


class ControlPlane(ClusterAccess):
    """Starts with `start` or as a context manager; certificates and kubeconfigs are there before.

    Args:
        workdir: holds certificates, kubeconfigs, etcd's data and logs.
        bind_address: every process listens there.
        prefix: command words put before each process and kubectl, such as `nsenter --net=…`.
        extra_arguments: more flags by program name; a later flag wins over ours.
        hosts: more names and addresses that the API server's certificate is good for.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        bind_address: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        extra_arguments: Mapping[str, Sequence[str]] | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        self.workdir = workdir
        self.bind_address = bind_address
        self.authority = Authority(workdir / "pki")
        self._port = free_port(bind_address)
        super().__init__(
            kubeconfig=workdir / "kubeconfig",
            server_url=f"https://{bind_address}:{self._port}",
            ca_file=self.authority.ca_file,
            cache=workdir / "kubectl-cache",
            prefix=prefix,
        )
        self.user_kubeconfig("ark-test-admin", [ADMINISTRATORS], self.kubeconfig)
        self._processes = self._describe(self._layout(hosts), extra_arguments or {})

    def _layout(self, hosts: Sequence[str]) -> flags.Layout:
        own_names = ["localhost", self.bind_address, "127.0.0.1", flags.FIRST_SERVICE_ADDRESS]
        names = [*dict.fromkeys(own_names), "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        token_key_file, token_public_file = signing_key_pair(self.workdir / "pki", "service-accounts")
        return flags.Layout(
            bind_address=self.bind_address,
            etcd_port=free_port(self.bind_address),
            etcd_peer_port=free_port(self.bind_address),
            apiserver_port=self._port,
            controller_manager_port=free_port(self.bind_address),
            scheduler_port=free_port(self.bind_address),
            etcd_data=self.workdir / "etcd",
            ca=self.authority.credentials,
            serving=self.authority.issue("serving", common_name="ark-test", hosts=[*names, *hosts]),
            kubelet_client=self.authority.issue(
                "kubelet-client", common_name="kube-apiserver-kubelet-client", organizations=[ADMINISTRATORS]
            ),
            token_key_file=token_key_file,
            token_public_file=token_public_file,
            controller_manager_kubeconfig=self.user_kubeconfig("system:kube-controller-manager"),
            scheduler_kubeconfig=self.user_kubeconfig("system:kube-scheduler"),
        )

    def _describe(self, layout: flags.Layout, extra_arguments: Mapping[str, Sequence[str]]) -> dict[str, Process]:
        own = (
            flags.etcd(layout),
            flags.kube_apiserver(layout),
            flags.kube_controller_manager(layout),
            flags.kube_scheduler(layout),
        )
        return {
            name: Process(
                name,
                [binary(name), *arguments, *extra_arguments.get(name, ())],
                log=self.workdir / "logs" / f"{name}.log",
                prefix=self.prefix,
            )
            for name, arguments in zip(PROGRAMS, own, strict=True)
        }

    @property
    def processes(self) -> Sequence[Process]:
        """The four processes in the order of their start."""
        return tuple(self._processes.values())

    def process(self, name: str) -> Process:
        """Return one process by its program's name, to kill it and start it again."""
        return self._processes[name]

    def pid(self, name: str) -> int:
        """Return the process id of a program."""
        return self._processes[name].pid

    def issue(
        self, name: str, *, common_name: str, organizations: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> Credentials:
        """Issue a certificate of the cluster's authority, for a kubelet, a kube-proxy or a user."""
        return self.authority.issue(name, common_name=common_name, organizations=organizations, hosts=hosts)

    def user_kubeconfig(self, common_name: str, organizations: Sequence[str] = (), path: Path | None = None) -> Path:
        """Write a kubeconfig with a client certificate; returns its path (named after the user)."""
        name = common_name.replace(":", "-").replace("/", "-")
        credentials = self.issue(name, common_name=common_name, organizations=organizations)
        return write_kubeconfig(
            path or self.workdir / "kubeconfigs" / name,
            server_url=self.server_url,
            ca_file=self.ca_file,
            user=by_certificate(credentials),
        )

    def start(self) -> Self:
        """Start what does not run and wait until the control plane is ready."""
        try:
            for process in self.processes[:-1]:
                process.start()
            self._wait_for("the API server to be ready", "get", "--raw=/readyz")
            self._processes["kube-scheduler"].start()  # before its roles exist it would back off for seconds
            service_account = "get", "serviceaccount", "default", "--namespace=default"
            self._wait_for("the controller manager's first service account", *service_account)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_for(self, what: str, *arguments: str) -> None:
        wait_until(
            lambda: self._succeeds(*arguments),
            timeout_seconds=READY_SECONDS,
            what=what,
            watched=[process for process in self.processes if process.was_started],
        )

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self.kubectl(*arguments)
        except HarnessError:
            return False
        return True

    def stop(self) -> None:
        """Stop everything in reverse order, so that none complains about the one before it."""
        for process in reversed(self.processes):
            process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
