"""Threads that run commands in a pod beside everything else; each must end as if nothing else happened."""

from __future__ import annotations

import threading

from pkg.kube.exec import exec_in_pod
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport

LINES = 300
EXIT_CODE = 7
SCRIPT = f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; echo done >&2; exit {EXIT_CODE}"
EXPECTED = b"".join(b"line %d\n" % number for number in range(LINES))
EXEC_SECONDS = 30.0
PAUSE_SECONDS = 0.05


class Executor:
    """Runs the same command again and again; `error` is what was not as it must be."""

    def __init__(self, transport: KubeTransport, namespace: str, pod: str) -> None:
        self._transport = transport
        self._namespace = namespace
        self._pod = pod
        self.executed = 0
        self.error: Exception | None = None

    def start(self, stop: StopToken) -> threading.Thread:
        """Starts; the thread ends with the token, after the command that it waits for."""
        thread = threading.Thread(target=self._run, args=(stop,), name="exec", daemon=True)
        thread.start()
        return thread

    def _run(self, stop: StopToken) -> None:
        try:
            while not stop.wait(PAUSE_SECONDS):
                self._execute()
                self.executed += 1
        except Exception as error:  # the soak looks at it in its own thread
            self.error = error

    def _execute(self) -> None:
        result = exec_in_pod(self._transport, self._namespace, self._pod, "app", ["sh", "-c", SCRIPT], EXEC_SECONDS)
        if (result.exit_code, result.stdout, result.stderr) != (EXIT_CODE, EXPECTED, b"done\n"):
            raise AssertionError(f"a command ended otherwise than it does: {result}")
