"""The pump: shows that it turns, and stops showing it when it does not."""

import asyncio
import contextlib
import socket
import threading

from voiceedge.sip import pump
from voiceedge.sip.pump import Pump


class Machine:
    """Waits for datagrams as PJSIP does, until it is told to hang."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hanging, self.released = threading.Event(), threading.Event()

    def set_up(self):
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()

    def poll(self, timeout_ms):
        if self.hanging.is_set():
            self.released.wait()
        self.socket.settimeout(max(timeout_ms, 1) / 1000)
        with contextlib.suppress(TimeoutError):
            self.socket.recv(100)

    def tear_down(self):
        self.socket.close()


async def test_the_pulse_is_that_of_the_pump(monkeypatch):
    monkeypatch.setattr(pump, "PULSE_S", 0.15)
    monkeypatch.setattr(pump, "SLEEP_MS", 150)
    machine, beats = Machine(), asyncio.Queue()
    turning = Pump(machine, pulse=lambda: beats.put_nowait(True))
    await turning.start()
    async with asyncio.timeout(60):
        for _ in range(3):
            await beats.get()
        machine.hanging.set()
        while True:  # until none comes any more
            try:
                await asyncio.wait_for(beats.get(), 1)
            except TimeoutError:
                break
        machine.released.set()
        machine.hanging.clear()
        await beats.get()
    await turning.stop()


async def test_what_prepares_the_thread_runs_in_it_before_all_else():
    order = []

    class Noted(Machine):
        def set_up(self):
            order.append(("set_up", threading.get_native_id()))
            return super().set_up()

    turning = Pump(Noted(), prepare=lambda: order.append(("prepare", threading.get_native_id())))
    await turning.start()
    await turning.stop()
    (first, its), (second, same) = order
    assert (first, second) == ("prepare", "set_up")
    assert its == same != threading.get_native_id()
