-- WenetSpeech4TTS, its premium subset (Ma et al. 2024, https://arxiv.org/abs/2406.05763): DNSMOS from 4.0 on.
-- Needs: annotate OUT --with quality
dnsmos_p808 >= 4.0
