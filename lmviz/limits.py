"""What one person may ask of the server, in one place. Every refusal names the limit it hits."""

MAX_UPLOAD_BYTES = 50_000_000
"""Bytes in the files of one corpus that come through the browser, together."""
MAX_FILE_BYTES = 1_000_000_000
"""Bytes of a text that lies on this machine: a file given by its path, or all files of an added corpus."""
LARGE_TEXT_BYTES = 20_000_000
"""Bytes from which a text is read in pieces, and its tokens are kept in files."""
TOKENIZER_SAMPLE = 10_000_000
"""Characters of the training part of a large text from which words and byte pairs are learned."""
MAX_TOKEN_BYTES = 8_000_000_000
"""Bytes of token files that are kept; beyond it those not used for longest are deleted."""
MAX_COUNTED_TOKENS = 5_000_000
"""Training tokens that an n-gram model counts, at about 100 bytes each for 5-grams."""
MAX_CORPUS_FILES = 1000
"""Files in one corpus that a person adds."""
MIN_CORPUS_CHARACTERS = 100
"""Characters that a corpus a person adds must have."""
MAX_LABEL = 120
"""Characters in a name that a person types."""
MAX_CONTROL_SHARE = 0.01
"""Share of control characters above which a file is not text."""
MAX_NEW_TOKENS = 10_000
"""Tokens in one generated text."""
MAX_PROMPT_CHARACTERS = 100_000
"""Characters in a prompt."""
MAX_SCORE_TOKENS = 200_000
"""Tokens in one scored text."""
MAX_CARDS = 4
"""Architectures that one comparison trains at once."""
MAX_ACTIVE_RUNS = 8
"""Runs of one person that train or wait at the same time."""
MAX_PARAMETERS = 20_000_000
"""Trainable numbers of a model."""
MAX_ACTIVATIONS = 80_000_000
"""Numbers that one update keeps for its backward pass, estimated: 320 MB."""
MAX_STEP_OPERATIONS = 60e9
"""Multiplications and additions in one update, about a second of one core: a longer one holds up every other run."""
