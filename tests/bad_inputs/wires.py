"""Bytes on a connection: framing, headers, paths, methods, origins.

"By the server" is said where gunicorn (Flask) or uvicorn (ASGI) answers before anything of ours runs.
"""

from collections.abc import Callable

from tests.bad_inputs.entries import LIMIT, SILENCE, Told, Wire, by_server, refused, served

Make = Callable[[bytes], bytes]

#: What the functions under test let other pages ask from.
ORIGIN = "https://allowed.example"
ORIGINS = f"{ORIGIN} http://localhost:3000"

_NO_CORS: dict[str, str | None] = {
    "access-control-allow-origin": None,
    "access-control-allow-methods": None,
    "access-control-allow-headers": None,
    "access-control-allow-credentials": None,
}
_HOST = b"Host: x\r\n"
_CLOSE = b"Host: x\r\nConnection: close\r\n"
_JSON = b"Content-Type: application/json\r\n"


def line(request_line: str | bytes, *headers: str | bytes, host: bytes = _CLOSE) -> Make:
    """A request without a body."""
    start = request_line.encode("latin-1") if isinstance(request_line, str) else request_line
    lines = [one.encode("latin-1") if isinstance(one, str) else one for one in headers]
    return lambda good: start + b" HTTP/1.1\r\n" + host + b"".join(one + b"\r\n" for one in lines) + b"\r\n"


def post(*headers: str, body: bytes | None = None, version: bytes = b"1.1", path: bytes = b"/predict") -> Make:
    """A prediction whose framing is what the headers say.

    Args:
        body: None: one that is answered; ``%`` stands for that.
    """
    lines = "".join(f"{one}\r\n" for one in headers).encode("latin-1")

    def make(good: bytes) -> bytes:
        sent = good if body is None else body.replace(b"%", good)
        framing = lines.replace(b"LENGTH", b"%d" % len(good))
        return b"POST " + path + b" HTTP/" + version + b"\r\n" + _CLOSE + _JSON + framing + b"\r\n" + sent

    return make


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", coding: str = "chunked") -> Make:
    """Chunks as they stand; ``%`` stands for a whole chunk that is answered."""

    def make(good: bytes) -> bytes:
        body = b"".join(chunks).replace(b"%", b"%x\r\n%s\r\n" % (len(good), good)) + end
        return post(f"Transfer-Encoding: {coding}", body=body)(good)

    return make


def _plain(sent: bytes) -> Make:
    return lambda good: sent


_HEALTH = "GET /health"
_G400 = by_server(400)
_BROKEN = refused(400, "invalid_request")

#: How requests are framed.
FRAMING = [
    Wire("C001 a method in lower case", line("get /health"), _G400),
    Wire("C002 HTTP/9.9", _plain(b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n"), _G400),
    # uvicorn takes HTTP/0.9 for what it is: there is nothing in it to be mistaken about.
    Wire("C003 no version", _plain(b"GET /health\r\n\r\n"), _G400, by_server(200, 400)),
    Wire("C005 HTTP/2's preface", _plain(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), _G400),
    Wire(
        "C006 a second request behind a length and chunks",
        _plain(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        ),
        _G400,
    ),
    Wire("C007 two lengths", post("Content-Length: 3", "Content-Length: LENGTH"), _G400),
    Wire("C007 the same length twice", post("Content-Length: LENGTH", "Content-Length: LENGTH"), _G400),
    Wire("C008 a negative length", post("Content-Length: -1"), _G400),
    Wire("C009 a signed length", post("Content-Length: +2"), _G400),
    Wire("C010 an unknown transfer coding", chunked(coding="xchunked"), by_server(501), _G400),
    Wire("C011 a chunk of ZZ bytes", chunked(b"ZZ\r\nhello\r\n"), _BROKEN, _G400),
    Wire("C012 less than was promised", post("Content-Length: 500"), refused(400, "incomplete_body"), SILENCE, True),
    Wire(
        "C012 less, and then nothing",
        post("Content-Length: 500"),
        SILENCE,
        refused(408, "body_timeout", connection="close"),
        takes=4,
    ),
    Wire(
        "C013 chunks over the limit",
        chunked(*[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * (LIMIT // 65536 + 2)),
        refused(413, "payload_too_large"),
        takes=1,
    ),
    Wire("C014 a length over the limit", post("Content-Length: 30000000"), refused(413, "payload_too_large")),
    Wire(
        "C014 30 MB over the limit",
        lambda good: post("Content-Length: 30000000", body=b"x" * 30_000_000)(good),
        refused(413, "payload_too_large"),
        takes=2,
    ),
    # Chunks cost nothing that bytes do not: both servers join them as they come. So their number is not limited.
    Wire("C030 65,537 chunks of a byte", chunked(b"1\r\nx\r\n" * 65_537), refused(400, "invalid_json"), takes=5),
    Wire("C030 1,000,000 chunks of a byte", chunked(b"1\r\nx\r\n" * 1_000_000), refused(400, "invalid_json"), takes=60),
    Wire("D001 a length in hexadecimal", post("Content-Length: 0x10"), _G400),
    Wire("D002 a length with an underscore", post("Content-Length: 1_0"), _G400),
    Wire("D003 a list of lengths", post("Content-Length: 1, 2"), _G400),
    Wire("D004 an empty length", post("Content-Length: "), _G400),
    Wire("D005 a length of 23 digits", post("Content-Length: " + "9" * 23), refused(413, "payload_too_large"), _G400),
    Wire("D005 a length of ten gigabytes", post("Content-Length: 9999999999"), refused(413, "payload_too_large")),
    Wire("D006 chunked twice", chunked(coding="chunked, chunked"), _G400),
    Wire("D007 gzip below the chunks", chunked(b"%", coding="gzip, chunked"), refused(501, "not_supported")),
    Wire("D008 a space before the colon", post("Transfer-Encoding : chunked", body=b"0\r\n\r\n"), _G400),
    Wire("D009 identity beside a length", post("Transfer-Encoding: identity", "Content-Length: LENGTH"), _G400),
    Wire(
        "D010 chunks in HTTP/1.0",
        post("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n", version=b"1.0"),
        _G400,
        _BROKEN,
    ),
    Wire("D011 a negative chunk", chunked(b"-1\r\nhello\r\n"), _BROKEN, _G400),
    Wire("D012 a chunk of 0x5 bytes", chunked(b"0x5\r\nhello\r\n"), _BROKEN, _G400),
    Wire("D013 a chunk of 2^72 bytes", chunked(b"ffffffffffffffffff\r\nhello\r\n"), _BROKEN, _G400, True),
    Wire("D014 a chunk that goes on", chunked(b"5\r\nhelloXX"), _BROKEN, _G400),
    Wire("D015 an extension of a chunk", chunked(b"2;a=b\r\n{}\r\n"), refused(422, "invalid_input")),
    Wire(
        "D015 an extension of 100,000 bytes",
        chunked(b"2;a=" + b"b" * 100_000 + b"\r\n{}\r\n"),
        _BROKEN,
        refused(422, "invalid_input"),
    ),
    Wire("D016 line feeds alone", chunked(b"2\n{}\n", end=b"0\n\n"), _BROKEN, _G400, True),
    Wire("D017 a trailer", chunked(b"%", end=b"0\r\nX-Api-Key: a\r\n\r\n"), served(200)),
    # Else a length behind the body would count for whoever reads headers late.
    Wire("D018 a length as a trailer", chunked(b"%", end=b"0\r\nContent-Length: 5\r\n\r\n"), _BROKEN, _G400),
    Wire("D019 chunks that end early", chunked(b"ff\r\n{}", end=b""), _BROKEN, SILENCE, True),
    Wire("D020 more than was promised", post("Content-Length: LENGTH", body=b"%trailing"), served(200)),
    Wire(
        "D021 requests in a row",
        lambda good: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + line(_HEALTH)(good),
        Told((200,), count=4),
    ),
    Wire(
        "D022 a bad request behind a good one",
        lambda good: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nget /health HTTP/1.1\r\n\r\n",
        Told((200,), count=2),
        # uvicorn reads both before it lets us answer the first.
        _G400,
    ),
    Wire(
        "D023 a TLS greeting", _plain(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60)), SILENCE, _G400, True
    ),
    Wire("D024 every byte", _plain(bytes(range(256)) * 4), _G400, ends=True),
    Wire("D025 nothing at all", _plain(b""), SILENCE, ends=True),
    Wire("D026 empty lines", _plain(b"\r\n" * 3), _G400, SILENCE, True),
    Wire("D027 half a request line", _plain(b"GET /hea"), SILENCE, ends=True),
    Wire(
        "D028 a body in a GET",
        lambda good: b"GET /predict HTTP/1.1\r\n" + _CLOSE + b"Content-Length: %d\r\n\r\n" % len(good) + good,
        served(200),
    ),
    Wire("D029 HTTP/1.0", _plain(b"GET /health HTTP/1.0\r\n\r\n"), served(200)),
]

_MANY = [f"X-{number}: y" for number in range(200)]

#: Headers.
HEADERS = [
    Wire("C017 200 headers", line(_HEALTH, *_MANY), by_server(431), refused(431, "headers_too_large")),
    Wire("C018 a folded header", line(_HEALTH, "X-A: a\r\n b"), _G400),
    Wire("C018 a space before a colon", line(_HEALTH, "X-A : a"), _G400),
    Wire("C018 NUL in a header", line(_HEALTH, "X-A: a\0b"), _G400),
    # uvicorn does not know this expectation, and so does what RFC 9110, 10.1.1 lets it: ignores it.
    Wire("C021 an unknown expectation", post("Expect: 200-ok", "Content-Length: LENGTH"), by_server(417), served(200)),
    Wire("C021 100-continue", post("Expect: 100-continue", "Content-Length: LENGTH"), served(200)),
    Wire(
        "C021 100-continue of too much",
        post("Expect: 100-continue", "Content-Length: 30000000", body=b""),
        refused(413, "payload_too_large"),
    ),
    Wire("C022 no Host", line(_HEALTH, host=b"Connection: close\r\n"), served(200)),
    Wire(
        "C022 a hostile Host",
        line("GET /nope", "X-Forwarded-Host: evil.example", host=b"Host: evil.example\r\nConnection: close\r\n"),
        refused(404, "not_found"),
        lacks=b"evil",
    ),
    Wire("D030 a header of 9,000 bytes", line(_HEALTH, "X-A: " + "y" * 9_000), by_server(431), served(200)),
    Wire(
        "D030 a header of 100,000 bytes",
        line(_HEALTH, "X-A: " + "y" * 100_000),
        by_server(431),
        refused(431, "headers_too_large"),
    ),
    Wire(
        "D030 2 MB of headers",
        line(_HEALTH, "X-A: " + "y" * 2_000_000),
        by_server(431),
        refused(431, "headers_too_large"),
    ),
    Wire("D031 ANSI in a header", line(_HEALTH, "X-A: a\x1b[31mb"), _G400),
    Wire("D032 a header's name with brackets", line(_HEALTH, "X(A): a"), _G400),
    Wire("D033 a carriage return alone", line(_HEALTH, "X-A: a\rb"), _G400),
    Wire("D034 line feeds alone", _plain(b"GET /health HTTP/1.1\nHost: x\nConnection: close\n\n"), _G400),
    Wire("D035 a header without a colon", line(_HEALTH, "XA"), _G400),
    Wire("D036 a request id in Latin-1", line(_HEALTH, "X-Request-Id: \xff\xfe"), served(200)),
    Wire("D036 a request id that forges a log", line(_HEALTH, 'X-Request-Id: a", "severity": "ERROR'), served(200)),
    Wire("D037 two Hosts", line(_HEALTH, "Host: y"), _G400, served(200)),
    Wire(
        "D038 a websocket",
        line("GET /predict", "Connection: Upgrade", "Upgrade: websocket", host=_HOST),
        served(400, 405, 426),
        by_server(400, 403),
        takes=4,
    ),
    Wire("D039 a connection header that names the length", line(_HEALTH, "Connection: Content-Length"), served(200)),
    Wire(
        "C061 two types",
        post("Content-Length: LENGTH", "Content-Type: text/csv"),
        _G400,
        refused(415, "unsupported_media_type"),
    ),
    Wire(
        "D040 a deadline in other digits",
        line("GET /health", "X-Request-Timeout-Ms: \xb2"),
        refused(422, "invalid_input"),
    ),
    Wire(
        "D041 an execution id that forges a log", line(_HEALTH, 'Function-Execution-Id: a"}\x7f{"x'), served(200, 400)
    ),
    Wire(
        "D042 a trace of nonsense",
        line(_HEALTH, "traceparent: 00-" + "z" * 60, "X-Cloud-Trace-Context: ////;o=x"),
        served(200),
    ),
]

_NONE = refused(404, "not_found")
_LOCATION: dict[str, str | None] = {"location": None}

#: Request targets.
TARGETS = [
    Wire("C023 another host's", line("GET http://evil.example/health"), served(200)),
    Wire("C023 another host's, unknown", line("GET https://evil.example:99/nope?x=1"), _NONE, lacks=b"evil"),
    Wire("C025 up to a file", line("GET /../../etc/passwd"), _NONE),
    Wire("C026 up, encoded", line("GET /%2e%2e%2fetc/passwd"), _NONE),
    Wire("C026 up, encoded twice", line("GET /%252e%252e%252fetc/passwd"), _NONE),
    Wire("C027 two slashes", line("GET //evil.example/predict"), Told((404,), "not_found", _LOCATION)),
    Wire("C027 two slashes, and up", line("GET //evil.example/%2f.."), Told((404,), "not_found", _LOCATION)),
    Wire("C028 NUL in a query", line("GET /predict?data=1,2,3&model_name=%00"), refused(404, "model_not_found")),
    Wire("C029 a slash behind", post("Content-Length: LENGTH", path=b"/predict/"), _NONE),
    Wire("C029 upper case", post("Content-Length: LENGTH", path=b"/V1/PREDICT"), _NONE),
    # functions-framework keeps these for itself in its Flask mode.
    Wire("C031 robots.txt", line("GET /robots.txt"), by_server(404), _NONE),
    Wire("C031 favicon.ico", line("GET /favicon.ico"), by_server(404), _NONE),
    Wire("C032 8,193 characters", line("GET /predict?data=" + "x" * 8_193), refused(414, "uri_too_long")),
    Wire("C032 70,000 characters", line("GET /predict?data=" + "x" * 70_000), refused(414, "uri_too_long"), _G400),
    # gunicorn looks for the line's end again with each piece that comes, and functions-framework took its limit away.
    Wire("C032 a megabyte", line("GET /predict?data=" + "x" * 1_000_000), refused(414, "uri_too_long"), _G400, takes=5),
    Wire("D050 /./health", line("GET /./health"), _NONE),
    Wire("D050 /x/../health", line("GET /x/../health"), _NONE),
    Wire("D050 ///health", line("GET ///health"), _NONE),
    Wire("D050 a backslash", line("GET /\\health"), _NONE),
    Wire("D050 a backslash, up", line("GET /..\\..\\windows"), _NONE),
    Wire("D051 a parameter of the path", line("GET /health;a=b"), _NONE),
    Wire("D052 a space in the path", line("GET /hea lth"), _G400),
    Wire("D053 UTF-8 as it is", line("GET /h\u00e9".encode()), _G400),
    Wire("D054 a control character", line("GET /a\x01b"), _G400),
    Wire("D055 NUL, encoded", line("GET /health%00"), _NONE),
    Wire("D056 half a UTF-8 character", line("GET /%ff"), _NONE),
    Wire("D056 overlong, encoded", line("GET /%c0%ae%c0%ae/etc/passwd"), _NONE),
    Wire("D057 no hexadecimal digits", line("GET /%zz"), _NONE),
    Wire("D057 a percent sign at the end", line("GET /health%"), _NONE),
    # Its path matches nothing in Flask's router, which has lines in mind.
    Wire(
        "D058 a header in the path", line("GET /a%0d%0aSet-Cookie:x=1"), Told((404,), None, {"set-cookie": None}), _NONE
    ),
    Wire("D059 a fragment", line("GET /health#x"), served(200)),
    Wire("D060 an asterisk", line("OPTIONS *"), _NONE),
    Wire("D061 no target", _plain(b"GET  HTTP/1.1\r\nHost: x\r\n\r\n"), _G400),
    Wire("D061 a target without a slash", line("GET health"), _G400),
    Wire("D062 4,000 parameters", line("GET /predict?" + "a&" * 4_000), refused(422, "invalid_input")),
    Wire(
        "D063 markup in a path",
        line("GET /%3Cscript%3Ealert(1)%3C/script%3E"),
        Told((404,), "not_found", {"content-type": "application/json"}),
    ),
    Wire("D064 a path of 8,000 slashes", line("GET " + "/" * 8_000), _NONE),
    Wire("D065 a path of 1,000 parts", line("GET /v2/models" + "/x" * 1_000), _NONE),
]

_ALLOW = "GET, OPTIONS, POST"

#: Methods.
METHODS = [
    Wire(
        "C033 TRACE",
        line("TRACE /predict", "X-Secret: hush"),
        refused(405, "method_not_allowed", allow=_ALLOW),
        lacks=b"hush",
    ),
    Wire("C033 CONNECT", line("CONNECT /predict"), refused(405, "method_not_allowed", allow=_ALLOW)),
    Wire("C033 CONNECT to a host", line("CONNECT evil.example:443"), _NONE, _G400),
    Wire("C033 BREW", line("BREW /predict"), refused(405, "method_not_allowed", allow=_ALLOW), _G400),
    Wire("C034 HEAD of health", line("HEAD /health"), served(200)),
    Wire(
        "C034 HEAD of a prediction", line("HEAD /predict"), Told((405,), None, {"x-error-code": "method_not_allowed"})
    ),
    Wire("C035 OPTIONS without an origin", line("OPTIONS /predict"), Told((204,), None, _NO_CORS | {"allow": _ALLOW})),
    Wire("D070 DELETE", line("DELETE /predict"), refused(405, "method_not_allowed", allow=_ALLOW)),
    Wire("D070 PUT of health", line("PUT /health"), refused(405, "method_not_allowed", allow="GET, OPTIONS")),
    Wire("D071 a method of 300 letters", line("A" * 300 + " /predict"), _G400),
    Wire("D072 a method with a sign", line("G!T /predict"), refused(405, "method_not_allowed"), _G400),
    Wire("D073 another method in a header", line("GET /health", "X-HTTP-Method-Override: DELETE"), served(200)),
]


def _preflight(
    origin: str, method: str = "POST", path: str = "/predict", asks: str = "content-type, x-api-key"
) -> Make:
    lines = f"Origin: {origin}", f"Access-Control-Request-Method: {method}", f"Access-Control-Request-Headers: {asks}"
    return line(f"OPTIONS {path}", *lines)


_PREFLIGHT: dict[str, str | None] = {
    "access-control-allow-origin": ORIGIN,
    "access-control-allow-methods": _ALLOW,
    "access-control-max-age": "600",
    "access-control-allow-credentials": None,
    "vary": "Origin",
}
_REFUSED = Told((204,), None, _NO_CORS | {"vary": "Origin"})

#: What pages of other sites may ask.
ORIGIN_CHECKS = [
    Wire("C036 a preflight", _preflight(ORIGIN), Told((204,), None, _PREFLIGHT)),
    Wire(
        "C036 a preflight where OPTIONS is answered otherwise",
        _preflight(ORIGIN, path="/predictions/anything"),
        Told((204,), None, _PREFLIGHT | {"access-control-allow-methods": "OPTIONS, POST, PUT"}),
    ),
    Wire(
        "C036 an error that a page may read",
        line("GET /nope", f"Origin: {ORIGIN}"),
        Told((404,), "not_found", {"access-control-allow-origin": ORIGIN, "vary": "Origin"}),
    ),
    Wire(
        "C036 an answer that a page may read",
        line(_HEALTH, f"Origin: {ORIGIN}"),
        Told((200,), None, {"access-control-allow-origin": ORIGIN}),
    ),
    Wire("C037 another origin", _preflight("https://evil.example"), _REFUSED),
    Wire("C037 an origin that begins as ours", _preflight(f"{ORIGIN}.evil.example"), _REFUSED),
    Wire("C037 an origin that ends as ours", _preflight("https://notallowed.example"), _REFUSED),
    Wire("C037 http for https", _preflight("http://allowed.example"), _REFUSED),
    Wire("C037 another port", _preflight(f"{ORIGIN}:8443"), _REFUSED),
    Wire("C037 upper case", _preflight("https://ALLOWED.example"), _REFUSED),
    Wire(
        "C037 an answer to another origin", line(_HEALTH, "Origin: https://evil.example"), Told((200,), None, _NO_CORS)
    ),
    Wire("C038 null", _preflight("null"), _REFUSED),
    Wire("D080 two origins", _preflight(f"{ORIGIN}, https://evil.example"), _REFUSED),
    Wire("D080 an origin with a path", _preflight(f"{ORIGIN}/"), _REFUSED),
    Wire("D080 an origin of 5,000 characters", _preflight("https://" + "a" * 5_000), _REFUSED),
]

WIRES = [*FRAMING, *HEADERS, *TARGETS, *METHODS, *ORIGIN_CHECKS]
