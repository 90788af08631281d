"""COTA's frames as PyPI's websockets carries them: asyncio and threads, fragments and compression as it likes."""

import asyncio
import json
import os
import re
import subprocess
import unittest

import websockets
from websockets.sync.client import connect as connect_here

QUESTION = "what is the weather in Oslo?"
# Only catches a hang.
LIMIT = 60


class Server:
    """`cota run` with the weather bot."""

    def __init__(self, test, *options):
        bot = os.path.join(os.environ["COTA_EXAMPLES"], "weather")
        options = ["--port", "0", "--store", "memory", "--log-level", "warn", *options]
        self.process = subprocess.Popen([os.environ["COTA_BIN"], "run", bot, *options], stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        self.url = re.search(r"http://(\S+)", self.process.stdout.readline()).group(1)

    def socket(self, sender):
        return f"ws://{self.url}/websocket?sender_id={sender}"

    def end(self):
        self.process.kill()
        self.process.wait(LIMIT)
        self.process.stdout.close()


async def tell(socket, **frame):
    await socket.send(json.dumps(frame))


async def hear(socket, kind):
    frame = json.loads(await asyncio.wait_for(socket.recv(), LIMIT))
    assert frame["type"] == kind, frame
    return frame


class Frames(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.server = Server(self)

    async def join(self, socket, **more):
        await hear(socket, "login")
        await tell(socket, type="join", session_id="trip", **more)
        return await hear(socket, "join_confirm")

    async def test_a_conversation(self):
        async with websockets.connect(self.server.socket("ana")) as socket:
            await self.join(socket)
            await tell(socket, type="text", session_id="trip", text=QUESTION, message_id="m1")
            self.assertEqual((await hear(socket, "text"))["message_id"], "m1")
            self.assertRegex((await hear(socket, "text"))["text"], "(?i)which day")
            await tell(socket, type="text", session_id="trip", text="tomorrow")
            await hear(socket, "text")
            self.assertRegex((await hear(socket, "text"))["text"], "Oslo, tomorrow")

    async def test_people_and_the_bot_in_one_room(self):
        async with websockets.connect(self.server.socket("ana")) as ana, websockets.connect(self.server.socket("bo")) as bo:
            await self.join(ana)
            self.assertEqual((await self.join(bo))["room_info"]["users"], ["ana", "bo"])
            self.assertEqual((await hear(ana, "user_joined"))["user_id"], "bo")
            await tell(bo, type="text", session_id="trip", text=QUESTION, message_id="m1")
            for socket in ana, bo:
                said, answered = await hear(socket, "text"), await hear(socket, "text")
                self.assertEqual((said["sender_id"], answered["sender"], answered["reply_to"]), ("bo", "bot", "m1"))
            await bo.close()
            self.assertEqual((await hear(ana, "user_left"))["user_id"], "bo")

    async def test_what_was_missed_comes_once_with_its_place(self):
        async with websockets.connect(self.server.socket("ana")) as socket:
            await self.join(socket)
            await tell(socket, type="text", session_id="trip", text=QUESTION)
            await hear(socket, "text")
            await hear(socket, "text")
        async with websockets.connect(self.server.socket("ana")) as socket:
            await self.join(socket, after=0)
            frames = [await hear(socket, "text"), await hear(socket, "text")]
            self.assertEqual([frame["sender"] for frame in frames], ["user", "bot"])
            self.assertLess(frames[0]["seq"], frames[1]["seq"])
            last = frames[1]["seq"]
        async with websockets.connect(self.server.socket("ana")) as socket:
            await self.join(socket, after=last)
            await tell(socket, type="ping")
            await hear(socket, "pong")

    async def test_a_message_in_fragments_is_one(self):
        async with websockets.connect(self.server.socket("ana")) as socket:
            await self.join(socket)
            frame = json.dumps({"type": "text", "session_id": "trip", "text": QUESTION})
            await socket.send([frame[n : n + 7] for n in range(0, len(frame), 7)])
            self.assertEqual((await hear(socket, "text"))["text"], QUESTION)

    async def test_pings_are_answered_and_what_is_no_text_is_not_taken(self):
        async with websockets.connect(self.server.socket("ana"), compression=None) as socket:
            await self.join(socket)
            await asyncio.wait_for(await socket.ping(), LIMIT)
            await socket.send(b"\x00\x01")
            self.assertEqual((await hear(socket, "error"))["code"], "bad_frame")

    async def test_a_name_has_to_be_said(self):
        async with websockets.connect(f"ws://{self.server.url}/websocket") as socket:
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), LIMIT)
            self.assertEqual(closed.exception.rcvd.code, 4001)
        with self.assertRaises(websockets.InvalidStatus) as refused:
            await websockets.connect(self.server.socket("ana"), origin="https://evil.example")
        self.assertEqual(refused.exception.response.status_code, 403)

    async def test_a_socket_with_nothing_to_say_ends(self):
        server = Server(self, "--idle-timeout", "1", "--limit-address-connections", "2")
        async with websockets.connect(server.socket("ana")) as ana, websockets.connect(server.socket("bo")):
            await hear(ana, "login")
            with self.assertRaises(websockets.InvalidStatus) as refused:
                await websockets.connect(server.socket("cy"))
            response = refused.exception.response
            self.assertEqual((response.status_code, response.headers["retry-after"]), (429, "10"))
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(ana.recv(), LIMIT)
            self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason[:20]), (1001, "nothing was said for"))


class InThreads(unittest.TestCase):
    def test_a_conversation(self):
        with connect_here(Server(self).socket("ana")) as socket:
            socket.recv(LIMIT)
            socket.send(json.dumps({"type": "text", "session_id": "trip", "text": QUESTION}))
            self.assertEqual(json.loads(socket.recv(LIMIT))["sender"], "user")
            self.assertRegex(json.loads(socket.recv(LIMIT))["text"], "(?i)which day")


if __name__ == "__main__":
    unittest.main()
