"""The codec: waveforms to codes and back.

Other rooms need `open_codec` and `pipeline.codec.protocol`; importing them loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.codec.memory import is_out_of_memory

if TYPE_CHECKING:
    from pipeline.codec.protocol import Codec
    from pipeline.config import CodecSettings

__all__ = ["is_out_of_memory", "open_codec"]


def open_codec(settings: CodecSettings, *, decoder: bool = True) -> Codec:
    """Load the codec that `settings.name` names. UsageError, one sentence, when it cannot be had.

    `decoder=False` leaves the decoder's weights out; `decode` then raises.
    """
    from pipeline.codec.loading import load

    return load(settings, decoder=decoder)
