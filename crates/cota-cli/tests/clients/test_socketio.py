"""Socket.IO as python-socketio speaks it."""

import os
import queue
import re
import signal
import subprocess
import unittest

import socketio

QUESTION = "what is the weather in Oslo?"
TRANSPORTS = (["websocket"], ["polling"], ["polling", "websocket"])
# Only catches a hang.
LIMIT = 60


class Server:
    """`cota run` with the weather bot."""

    def __init__(self, test, port=0):
        bot = os.path.join(os.environ["COTA_EXAMPLES"], "weather")
        options = ["--port", str(port), "--store", "memory", "--log-level", "warn"]
        self.process = subprocess.Popen([os.environ["COTA_BIN"], "run", bot, *options], stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.end)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def end(self):
        self.process.kill()
        self.process.wait(LIMIT)
        self.process.stdout.close()


class Client:
    """A client that keeps the events it gets until they are asked for."""

    def __init__(self, test, url, transports, **options):
        self.test, self.events, self.breaks = test, queue.Queue(), queue.Queue()
        self.socket = socketio.Client(reconnection_delay=0.02, reconnection_delay_max=0.05)
        self.socket.on("*", lambda name, *content: self.events.put((name, *content)))
        self.socket.on("connect", lambda: self.breaks.put("connect"))
        self.socket.on("disconnect", lambda reason: self.breaks.put("disconnect"))
        self.socket.connect(url, transports=transports, wait_timeout=LIMIT, **options)
        test.addCleanup(self.socket.shutdown)

    def next(self, wanted):
        name, content = self.events.get(timeout=LIMIT)
        self.test.assertEqual(name, wanted, content)
        return content

    def ask(self, name, content):
        return self.socket.call(name, content, timeout=LIMIT)


class Conversations(unittest.TestCase):
    def test_a_conversation_in_rasas_words(self):
        server = Server(self)
        for number, transports in enumerate(TRANSPORTS):
            with self.subTest(transports):
                session = f"trip-{number}"
                client = Client(self, server.url, transports)
                self.assertEqual(client.socket.transport(), transports[-1])
                client.socket.emit("session_request", {"session_id": session})
                client.next("login")
                self.assertEqual(client.next("session_confirm"), session)
                answer = client.ask("user_uttered", {"message": QUESTION, "session_id": session})
                self.assertEqual((answer["status"], answer["session_id"]), ("ok", session))
                self.assertRegex(client.next("bot_uttered")["text"], "which day")
                client.socket.emit("user_uttered", {"message": "tomorrow", "session_id": session})
                self.assertRegex(client.next("bot_uttered")["text"], "Oslo, tomorrow")

    def test_people_and_the_bot_in_one_room(self):
        server = Server(self)
        ana, bo = (Client(self, server.url, transports) for transports in TRANSPORTS[:2])
        self.assertEqual(ana.ask("login", {"user_id": "ana"}), {"status": "ok"})
        self.assertEqual(ana.next("login")["user_id"], "ana")
        ana.socket.emit("join", {"session_id": "room", "sender_id": "ana"})
        ana.next("join_confirm")
        bo.socket.emit("join", {"session_id": "room", "sender_id": "bo"})
        bo.next("login")
        self.assertEqual(bo.next("join_confirm")["room_info"]["user_count"], 2)
        self.assertEqual(ana.next("user_joined")["user_id"], "bo")
        bo.socket.emit("message", {"session_id": "room", "text": QUESTION, "message_id": "m1"})
        for client in (ana, bo):
            self.assertEqual(client.next("bot_uttered")["text"], QUESTION)
            self.assertEqual(client.next("bot_uttered")["reply_to"], "m1")

    def test_a_client_comes_back_when_the_server_does(self):
        server = Server(self)
        clients = [Client(self, server.url, transports) for transports in TRANSPORTS]
        self.assertEqual(server.stop(), 0)
        Server(self, server.port)
        for client in clients:
            self.assertEqual([client.breaks.get(timeout=LIMIT) for _ in range(3)], ["connect", "disconnect", "connect"])
            self.assertEqual(client.ask("session_request", {"session_id": "s"})["status"], "ok")

    def test_what_cannot_be_taken_is_refused(self):
        server = Server(self)
        for transports in TRANSPORTS:
            with self.subTest(transports):
                client = Client(self, server.url, transports)
                self.assertEqual(client.ask("message", {"session_id": "s", "text": b"\x01"})["code"], "bad_frame")
                client.socket.emit("join", {})
                self.assertEqual(client.next("join_error")["code"], "bad_frame")
                with self.assertRaises(socketio.exceptions.ConnectionError):
                    Client(self, server.url, transports, namespaces=["/admin"], retry=False)


if __name__ == "__main__":
    unittest.main()
