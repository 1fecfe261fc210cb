-- LibriTTS, its "clean" subsets (Zen et al. 2019, https://arxiv.org/abs/1904.02882), which LibriTTS-R restores:
-- a signal-to-noise ratio of at least 20 dB. Its authors estimated it by WADA; `level` measures loud frames over
-- faint ones.
-- Needs: annotate OUT --with level
snr >= 20
