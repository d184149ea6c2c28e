"""Odd texts, and changes of text and bytes that need no grammar."""

from __future__ import annotations

from random import Random

MOST_BYTES = 1 << 17
"""Of an input: a larger one takes long to make, and each reader has its own limit far below or above."""

ODD = (
    *("", " ", "\t", "\n", "\r\n", "\0", "\x1b[2J", "\x7f", "\x85", "\xa0", "\ufeff", "\u2028", "\u2029", "\u202e", "\u200b"),
    *("é", "ß", "İ", "\u017f", "ﬀ", "²", "٣", "\uff11\uff12", "Ⅷ", "½", "🦀", "\U000e0041", "\uffff", "e\u0301", "日本"),
    *(
        "0",
        "-0",
        "-1",
        "+1",
        "1_0",
        "0x1f",
        "0o17",
        "017",
        "1e9",
        "1e999",
        "-1e999",
        "nan",
        "inf",
        ".inf",
        ".nan",
        "1.5",
        "1:59",
    ),
    *("255", "256", "65535", "65536", str(2**31), str(2**32), str(2**63), str(-(2**63) - 1), str(2**64), str(2**128)),
    *(
        "true",
        "false",
        "null",
        "yes",
        "off",
        "~",
        "None",
        "NaN",
        "Infinity",
        "!!int",
        "&a",
        "*a",
        "<<",
        "---",
        "...",
        "%YAML 9.9",
    ),
    *("://", "http://", "https://", "https://[", "https://[::1", "https://]", "https://[::1]]:1", "https://h:99999", "unix://"),
    *(
        "https://h:-1",
        "https://u:p@h:1",
        "https://h:1/x?y#z",
        "https://[fe80::1%25eth0]:2380",
        "https://h:٣",
        "http://1.2.3.4:2380",
    ),
    *(
        "https://\u2100",
        "https://xn--a",
        "//",
        "/",
        "..",
        "../..",
        "@",
        "?",
        "#",
        "%",
        "%00",
        "%25",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
    ),
    *(
        "$(id)",
        "`id`",
        "$HOME",
        "'",
        '"',
        "\\",
        ";",
        "|",
        "&",
        "<",
        ">",
        "=",
        ",",
        ":",
        ": ",
        "- ",
        "--",
        "!",
        "*",
        "$patch",
        "[/x]",
    ),
    *(
        "0.0.0.0",
        "::",
        "::1",
        "fe80::1",
        "::ffff:1.2.3.4",
        "10.0.0.0/33",
        "10.0.0.0/8",
        "fd00::/129",
        "1.2.3",
        "1.2.3.4.5",
        "300.1.1.1",
    ),
    *(
        "v1.34.4",
        "1.34",
        "v99999.1.1",
        "3.6.1-rc.1",
        "1h",
        "1h1h",
        "-5m",
        "1.5.5s",
        "9223372036s",
        "2024-02-30T00:00:00Z",
        "0001-01-01",
    ),
    *(
        "2024-01-01",
        "2024-01-01T00:00:00",
        "9999-12-31T23:59:59+00:00",
        "Thu, 01 Jan 1970 00:00:00 -2400",
        "Mon, 99 Foo 9999 99:99:99 +9999",
    ),
)
HALVES = (
    "\\ud800",
    "\\udfff",
    "\\uD83D",
    "\\ud83d\\ude00",
    "\\u0000",
    "\\u202e",
    "\\x00",
    "\\U0010ffff",
    "\\U00110000",
    "\\u12",
)
"""Escapes as JSON and YAML write them: halves of letters, nothing, and none."""

_RUNS = (
    "[",
    "{",
    "(",
    "]",
    "}",
    '"',
    "'",
    "\\",
    "9",
    "0",
    "a",
    "-",
    "- ",
    "? ",
    ": ",
    "&a ",
    "*a ",
    "!",
    " ",
    "\n",
    "\t",
    ",",
    "=",
    "%",
    ":59",
    ".1",
    "[]",
    "{}",
    "\0",
    "é",
)
_LENGTHS = (2, 3, 16, 17, 41, 64, 101, 255, 256, 257, 1000, 1001, 4300, 4301, 5000, 20_000, 66_000)


def run(rng: Random) -> str:
    """One text again and again."""
    text = rng.choice(_RUNS) if rng.random() < 0.7 else rng.choice(ODD)
    return text * rng.choice(_LENGTHS)


def odd(rng: Random) -> str:
    chance = rng.random()
    if chance < 0.08:
        return run(rng)
    if chance < 0.14:
        return (
            str(rng.getrandbits(rng.choice((8, 31, 32, 33, 63, 64, 65, 128, 14_000)))) if chance < 0.11 else rng.choice(HALVES)
        )
    return rng.choice(ODD)


def change_text(text: str, rng: Random) -> str:
    """One change somewhere in a text."""
    at, to = sorted(rng.randint(0, len(text)) for _ in range(2))
    match rng.randrange(8):
        case 0:
            return odd(rng)
        case 1:
            return text[:at] + odd(rng) + text[at:]
        case 2:
            return text[:at] + text[to:]
        case 3:
            return text[:at] + odd(rng) + text[to:]
        case 4:
            return text[:to] + text[at:]
        case 5:
            return text[:at] + text[at:to] * rng.choice((2, 3, 50)) + text[to:]
        case 6:
            return text.swapcase() if rng.random() < 0.5 else text[::-1]
        case _:
            return odd(rng) + text if rng.random() < 0.5 else text + odd(rng)


def change_bytes(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    """One change of bytes: flipped, cut, doubled, or spliced with another input."""
    at, to = sorted(rng.randint(0, len(content)) for _ in range(2))
    match rng.randrange(9):
        case 0 if content:
            place = rng.randrange(len(content))
            return content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
        case 1:
            return (
                content[:at]
                + bytes([rng.choice((0, 9, 10, 13, 27, 34, 91, 123, 127, 128, 0xC0, 0xED, 0xFE, 0xFF))])
                + content[at:]
            )
        case 2:
            return content[:at]
        case 3:
            return content[:at] + content[to:]
        case 4:
            return content[:at] + content[at:to] * rng.choice((2, 3, 10, 200)) + content[to:]
        case 5:
            return content[:at] + other[rng.randint(0, len(other)) :]
        case 6:
            return content[:at] + odd(rng).encode("utf-8", "surrogatepass") + content[at:]
        case 7:
            return content[:at] + b"\xed\xa0\x80" + content[to:]
        case _:
            return content[:at] + odd(rng).encode("utf-8", "surrogatepass") + content[to:]


def change_lines(content: bytes, rng: Random, other: bytes = b"") -> bytes:
    """One change of whole lines: dropped, doubled, swapped, taken from another input, indented."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[at]] * rng.choice((1, 2, 300))
        case 2:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case 3:
            lines.insert(at, rng.choice(other.split(b"\n")))
        case 4:
            lines[at] = rng.choice((b" ", b"  ", b"\t", b"- ", b"? ")) + lines[at]
        case _:
            lines[at] = change_bytes(lines[at], rng, other)
    return b"\n".join(lines)
