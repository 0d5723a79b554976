#!/bin/sh
# pamqp 4.0.1 (what aio-pika speaks AMQP with), on CPython 3.11: a long string in a table of headers comes out as `str`
# if it is UTF-8, and as `bytes` if it isn't: AMQP 0-9-1 says that a long string is octets (4.2.5.3, 4.2.5.5). Written
# again, the bytes are an "Unknown type", though AMQP has types for both. So whoever takes a message of another client
# and publishes it once more with the headers that it came with (to redeliver or to dead-letter it) can fail on some
# messages alone, those whose header is Latin-1, say.
#
# Output seen: below.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q pamqp==4.0.1
.venv/bin/python - <<'END' | tee seen
from pamqp import decode, encode

for octets in ("Köln".encode(), "Köln".encode("latin-1")):
    _, value = decode.embedded_value(b"S" + len(octets).to_bytes(4, "big") + octets)
    try:
        again = encode.encode_table_value(value)[5:] == octets
    except TypeError as error:
        again = str(error)
    print(repr(value), again)
END

diff - seen <<'END'
'Köln' True
b'K\xf6ln' Unknown type: <class 'bytes'> (b'K\xf6ln')
END
