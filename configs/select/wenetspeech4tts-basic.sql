-- WenetSpeech4TTS, its basic subset (Ma et al. 2024, https://arxiv.org/abs/2406.05763): DNSMOS from 3.6 on.
-- Needs: annotate OUT --with quality
dnsmos_p808 >= 3.6
