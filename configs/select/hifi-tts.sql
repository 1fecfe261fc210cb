-- Hi-Fi TTS (Bakhturina et al. 2021, https://arxiv.org/abs/2104.01497): a bandwidth of at least 13 kHz and a
-- signal-to-noise ratio of at least 32 dB. Its authors measured both their way; `level` measures loud frames over
-- faint ones.
-- Needs: annotate OUT --with level
bandwidth >= 13000
AND snr >= 32
