"""The codec: waveforms to codes and back. `pipeline.codec.protocol` is all that other rooms need to know."""

from pipeline.codec.memory import is_out_of_memory

__all__ = ["is_out_of_memory"]
