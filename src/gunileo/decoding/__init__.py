"""Log-probabilities of CTC to words: greedy, beam search, grammars, word lists."""
