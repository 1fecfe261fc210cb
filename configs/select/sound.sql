-- Ours, to begin with: nothing that is clipped, cut in a word, copied, stuck, or says something else.
-- Needs: annotate OUT --with level,codes,copies,transcript
clipped < 0.001
AND edge < -20
AND copy_of IS NULL
AND code_loop < 75
AND code_run < 50
AND wer < 0.5
