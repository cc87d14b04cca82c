"""Every message on the stream, read by nats-py and the CloudEvents SDK.

Argument: the URL of the broker.
"""

import asyncio
import sys

import nats
from cloudevents.v1.http import from_http


async def main(url):
    broker = await nats.connect(url)
    stream = broker.jetstream()
    # Watermarks go on for ever, so it ends where the stream ends now.
    last = (await stream.stream_info("EVENTS")).state.last_seq
    subscription = await stream.pull_subscribe("events.>", durable=None)
    sequences = {}
    read = 0
    while read < last:
        for message in await subscription.fetch(100, timeout=5):
            read = message.metadata.sequence.stream
            headers = {name.lower(): value for name, value in message.headers.items()}
            event = from_http(headers, message.data)
            assert event["specversion"] == "1.0", event
            if "sequence" in event.get_attributes() and not event["type"].endswith((".watermark.v1", ".claim.v1")):
                history = (event["source"], headers.get("ce-incarnation"))
                sequences.setdefault(history, []).append(event["sequence"])
    for history, in_order in sequences.items():
        # The sequence extension: sorted as strings, they are in order.
        if in_order != sorted(in_order):
            sys.exit(f"the sequences of {history} do not sort as strings: {in_order[:20]}")
    if not any(len(in_order) > 10 for in_order in sequences.values()):
        sys.exit("too few events to tell how sequences sort")
    await broker.close()


asyncio.run(main(sys.argv[1]))
