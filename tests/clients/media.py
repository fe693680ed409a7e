"""Small pictures, sounds and documents that the checks of clients send."""

import base64
import io
import struct
import wave
import zlib

PDF = base64.b64encode(b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R>>endobj
4 0 obj<</Title(Annual Report)>>endobj
trailer<</Root 1 0 R/Info 4 0 R>>
%%EOF""").decode()


def png(width, height):
    """A red picture, in base64."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * width) * height
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return base64.b64encode(whole + chunk(b"IEND", b"")).decode()


def wav(seconds, rate=8000):
    """Silence, in base64."""
    data = io.BytesIO()
    with wave.open(data, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\0\0" * rate * seconds)
    return base64.b64encode(data.getvalue()).decode()


def image_part(width, height, **more):
    """A picture in a message to OpenAI."""
    url = "data:image/png;base64," + png(width, height)
    return {"type": "image_url", "image_url": {"url": url, **more}}


def image_block(width, height):
    """A picture in a message to Anthropic."""
    return {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": png(width, height)}}
