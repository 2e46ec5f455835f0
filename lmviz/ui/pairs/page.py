"""The page Seq2Seq put together."""


def seq2seq() -> None:
    return None
