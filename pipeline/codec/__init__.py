"""The codec: waveforms to codes and back. Importing this package loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec
    from pipeline.config import CodecSettings


def load_codec(settings: CodecSettings | str, *, decoder: bool = True) -> Codec:
    """Load the codec that `settings` name: a folder, a Hugging Face id, or settings with more in them.

    `decoder=False` leaves the decoder's weights out; `decode` then raises. A name that begins with `fake:`
    is a codec without a model, for tests. Raises UsageError, one sentence, if the codec cannot be had.

    >>> from pipeline import load_codec
    >>> codec = load_codec("data/sample/codec")
    >>> codec.sample_rate, codec.codebook_size
    (16000, 4096)
    """
    from pipeline.config import CodecSettings

    if isinstance(settings, str):
        settings = CodecSettings(name=settings)
    if settings.name.startswith("fake:"):
        from pipeline.codec.fake import FakeCodec

        return FakeCodec.named(settings.name)
    from pipeline.codec.loading import load

    return load(settings, decoder=decoder)
