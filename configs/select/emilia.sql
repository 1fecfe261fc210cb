-- Emilia (He et al. 2024, https://arxiv.org/abs/2407.05361), the filters of its pipeline: overall DNSMOS P.835
-- above 3.0, the language known with a confidence of 0.8, and a speaking rate that is no outlier by 1.5 times the
-- interquartile range. The paper asks Whisper for the language and counts phones; here lingua reads the text, and
-- characters are counted.
-- Needs: annotate OUT --with quality,language
dnsmos_ovrl > 3.0
AND text_language_confidence > 0.8
AND duration / length(text) > (SELECT 2.5 * quantile_cont(duration / length(text), 0.25)
    - 1.5 * quantile_cont(duration / length(text), 0.75) FROM rows)
AND duration / length(text) < (SELECT 2.5 * quantile_cont(duration / length(text), 0.75)
    - 1.5 * quantile_cont(duration / length(text), 0.25) FROM rows)
