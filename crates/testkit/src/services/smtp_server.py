"""An SMTP server on loopback: `smtp_server.py none|starttls|tls CERTIFICATE KEY`.

Prints its port, then each message that it takes as one line of JSON. It wants user `larder` with password
`s3cret`, except in mode `none`, and refuses the first recipient `busy@example.org` for the time being.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

mode, certificate, key = sys.argv[1:4]


class Handler:
    busy = True

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "busy@example.org" and Handler.busy:
            Handler.busy = False
            return "451 busy, try again"
        if address == "nobody@example.org":
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "user": (session.auth_data or b"").decode() if session.authenticated else None,
            "content": envelope.content.decode(),
        }), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, login):
    good = login.login == b"larder" and login.password == b"s3cret"
    return AuthResult(success=good, handled=False, auth_data=login.login)


context = None
if mode != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
settings = {
    "none": {},
    "starttls": dict(authenticator=authenticate, auth_required=True, tls_context=context, require_starttls=True),
    "tls": dict(authenticator=authenticate, auth_required=True, auth_require_tls=False),
}[mode]


async def main():
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), **settings), "127.0.0.1", 0, ssl=context if mode == "tls" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
