"""The page Seq2Seq."""
