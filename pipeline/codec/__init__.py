"""The codec: waveforms to codes and back. The only room that imports a codec's libraries.

`open_codec` is the way in. What a codec must do is `Codec`; how it does it stays in this room.
"""

from pipeline.codec.protocol import Codec, Pending, open_codec

__all__ = ["Codec", "Pending", "open_codec"]
