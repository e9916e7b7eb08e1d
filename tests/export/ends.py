"""Ways in which a process ends or forks, whatever it puts: programs that call `put`."""

from __future__ import annotations

import signal

import pytest

from tests.export.programs import IDLE, ended


class Ends:
    """
    Nothing that was put is lost, and nothing hangs.

    The module of a subclass has the fixture ``run``, whose preamble defines ``put(count)``,
    ``flush(timeout)`` and ``stored()``.
    """

    def arrived(self, collector):
        """How many of what was put are there; here records."""
        return len(set(collector.ids))

    def arrived_though_interrupted(self, collector):
        """The same, where the last of them was interrupted."""
        return self.arrived(collector)

    def test_sigterm_loses_none_and_still_kills(self, collector, run):
        child = run(f"put(1000); print('ready', flush=True){IDLE}")
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        code, _, _ = ended(child)
        assert code == -signal.SIGTERM
        assert self.arrived(collector) == 1000

    def test_sigterm_while_something_is_put_loses_none_and_does_not_hang(self, collector, run):
        # The handler interrupts `put` at any point, also where it holds its lock.
        child = run(
            """
            print("ready", flush=True)
            while True:
                put(10)
                sys.stdout.write("10\\n")
                sys.stdout.flush()
            """,
            OTELOPE_EXPORT_INTERVAL="0.01",
            # Coverage 7.16 holds a lock while it notes a line: interrupted there, no thread goes
            # on.
            COVERAGE_PROCESS_CONFIG="",
        )
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        code, out, err = ended(child)
        assert (code, err) == (-signal.SIGTERM, "")
        assert self.arrived_though_interrupted(collector) >= 190 + out.count("10") * 10

    def test_forks_while_other_threads_put_and_send_do_not_hang(self, collector, run):
        code, out, err = ended(
            run(
                """
                running = True
                breath = threading.Event()
                def busy():
                    while running:
                        put(5)
                        breath.wait(0.001)  # not more than a queue holds
                threads = [threading.Thread(target=busy) for _ in range(2)]
                for thread in threads:
                    thread.start()
                codes = []
                for _ in range(10):
                    child = os.fork()
                    if not child:
                        running = False
                        put(10)
                        done = flush(10)
                        os._exit(0 if done and stored() == 10 else 1)
                    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                running = False
                for thread in threads:
                    thread.join()
                flush(10)
                print(codes.count(0), stored())
                """,
                OTELOPE_EXPORT_INTERVAL="0.01",
                # Not measured: coverage 7.16 takes a lock before `_exit` that a thread of the
                # parent may have held at the fork.
                COVERAGE_PROCESS_CONFIG="",
            ),
            timeout=60,
        )
        children, stored = map(int, out.split())
        assert (code, err, children) == (0, "", 10)
        assert self.arrived(collector) == stored + 100

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_a_multiprocessing_child_loses_none(self, collector, run, method):
        code, _, err = ended(
            run(
                f"""
                if __name__ == "__main__":
                    put(5)
                    context = multiprocessing.get_context("{method}")
                    child = context.Process(target=put, args=(100,))
                    child.start()
                    child.join()
                    sys.exit(child.exitcode)
                """
            )
        )
        assert (code, err) == (0, "")
        assert self.arrived(collector) == 105

    def test_no_thread_at_the_end_of_the_interpreter(self, collector, run):
        # Python 3.12 and later start none there; the same refusal is brought about here.
        code, _, err = ended(
            run(
                """
                def refuse(self):
                    raise RuntimeError("can't create new thread at interpreter shutdown")
                def late():
                    threading.Thread.start = refuse
                    put(10)
                atexit.register(late)
                """
            )
        )
        assert (code, err) == (0, "")
        assert self.arrived(collector) == 10
