"""Names of models that are none, paths behind a model that nothing answers, methods that no prediction has."""

#: Names of models that are none, as they would stand in a path.
NAMES = [
    *("..", ".", "%2e%2e", "..%5c..%5cx", "a\\b", "model..", "-x", "_x", "x" * 65, "x" * 300, "Tiny_Writer"),
    *("gs:", "${jndi}", "{{7*7}}", "$(id)", "; rm", "toy#gen=1", "toy?alt=media", "a\x00b", "тест", "<b>"),
    *("__proto__", "constructor", "tiny_writer ", " tiny_writer", "tiny_writer\n"),
    *("C:", "..\\..\\x", "a%00b", "a%2fb", "..%2f..%2fetc%2fpasswd", "'; DROP TABLE models; --", "𝓶𝓸𝓭𝓮𝓵"),
    *("\u202elebmdo", "e\u0301" * 20, "nul", "con.", "a" * 2_000),
]

#: Names with a slash or a colon: more than a name where they stand in a path.
ADDRESSES = [
    *("../x", "a/../b", "model/..", "model/", "/etc/passwd", "gs://other/x", "http://169.254.169.254/", "file:///x"),
    *("s3://b/x", "${jndi:ldap://x}", "\\\\host\\share/x", "models/../../x"),
]

#: Names that are too long for a path, and stand in bodies alone.
LONG_NAMES = ["x" * 100_000]

#: Behind a model's place, or instead of it: paths that nothing answers.
PATHS = ["/../../etc/passwd", "//evil.example", "/%2e%2e/x", "/x/y/z/w"]

#: Methods that no prediction has.
METHODS = ["TRACE", "CONNECT", "BREW", "DELETE", "PATCH"]
