"""Where messages arrive: an SMTP server and an HTTP server on loopback, that remember what they took and can be told to misbehave."""

import json
import socket
import threading
import time
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller


class Mail:
    """An SMTP server. `refuses`: it takes no mail now. `taken`: (recipient, subject, text) of each, in order."""

    def __init__(self):
        self.taken, self.refuses = [], False
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        """Take a mail, or refuse it, naming whom it was for as servers do."""
        if self.refuses:
            return f"451 {envelope.rcpt_tos[0]} is greylisted"
        mail = message_from_bytes(envelope.original_content, policy=policy.default)
        subject = str(make_header(decode_header(mail["Subject"])))
        self.taken.append(
            (
                envelope.rcpt_tos[0],
                subject,
                mail.get_body(("html", "plain")).get_content().strip().replace("\r\n", "\n"),
            )
        )
        return "250 taken"

    def url(self, more=""):
        """As a channel's URL."""
        return f"mailto://127.0.0.1:{self.port}/?from=meterline%40example.com&to={{address}}{more}"

    def stop(self):
        """End it."""
        self.controller.stop()


class Hook:
    """An HTTP server. `answers`: what it answers. `hangs`: for so many seconds before that. `taken`: (path, body) of each request that was answered well."""

    def __init__(self):
        self.taken, self.answers, self.hangs = [], 200, 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = outer.answers
                if outer.hangs:
                    time.sleep(outer.hangs)
                if answer < 300:
                    outer.taken.append((self.path, body))
                try:
                    self.send_response(answer)
                    self.end_headers()
                    self.wfile.write(b"answered")
                except OSError:  # Whoever asked was killed, or waits no more.
                    pass

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.port = self.server.server_port

    def url(self, path="hook-8e5c1f/{address}", more="?:id={id}"):
        """As a channel's URL, with a password and a secret in its path."""
        return f"json://user:hunter2222@127.0.0.1:{self.port}/{path}{more}"

    def ids(self):
        """What the messages say they are."""
        return [body["id"] for _, body in self.taken]

    def stop(self):
        """End it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
