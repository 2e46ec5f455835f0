"""What one person may ask of the server, in one place. Every refusal names the limit it hits."""

MAX_UPLOAD_BYTES = 50_000_000
"""Bytes in the files that a page takes for one corpus, together; a .zip counts unpacked as well."""
MAX_FILE_BYTES = 1_000_000_000
"""Bytes of a text that lies on this machine: a file given by its path, or all files of an added corpus."""
MAX_WHOLE_BYTES = 200_000_000
"""Bytes that the command line reads whole: tables, folders, .zip files, texts in another encoding than UTF-8."""
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
MAX_DOCUMENTS = 9999
"""Documents in one corpus that a person adds."""
MAX_FETCH_SECONDS = 600
"""Seconds after which a download is given up."""
MIN_CORPUS_CHARACTERS = 100
"""Characters that a corpus a person adds must have."""
MIN_PAIRS = 20
"""Pairs that a table of pairs must have."""
MAX_PAIRS = 200_000
"""Pairs in one table."""
MAX_PAIR_CHARACTERS = 200
"""Characters of a source or a target in a table."""
MAX_LABEL = 120
"""Characters in a name that a person types."""
MAX_CONTROL_SHARE = 0.01
"""Share of control characters above which a file is not text."""
MAX_LAG = 500
"""Steps between what a task gives to remember and its question."""
MAX_NEW_TOKENS = 10_000
"""Tokens in one generated text."""
MAX_PREFERENCE_STEPS = 200
"""Updates of learning from preferences."""
MAX_PREFERENCE_TOKENS = 100
"""Tokens of a text that is preferred or not."""
MAX_PREFERENCE_PROMPT = 200
"""Tokens of the prompt of such texts: an update reads it with each of them."""
MAX_PREFERENCE_PARAMETERS = 2_000_000
"""Of a model that learns from preferences: more would take long."""
MAX_SIDES = 6
"""Texts that are compared side by side."""
MAX_SIDE_TOKENS = 500
"""Tokens of each of them."""
MAX_SOURCE_TOKENS = 10_000_000
"""Tokens of a training text that is searched for what was copied from it."""
MAX_STEPPED_TOKENS = 500
"""Tokens of a text that is written step by step."""
MAX_TRACE_BYTES = 500_000_000
"""Bytes of the distributions that `lmviz generate --trace` writes."""
MAX_BEAMS = 32
"""Texts that a beam search keeps."""
MAX_PROMPT_CHARACTERS = 100_000
"""Characters in a prompt."""
MAX_SCORE_TOKENS = 200_000
"""Tokens in one scored text."""
MAX_SURPRISE_CHARACTERS = 100_000
"""Characters of a text that the page Generate measures."""
MAX_SHOWN_TOKENS = 2000
"""Tokens of it that are shown one by one."""
MAX_COMPLETIONS = 64
"""Continuations of one snippet of code that are written at once."""
MAX_CODE_TOKENS = 1000
"""Tokens in each of them."""
MAX_GRADIENT_LENGTH = 1000
"""Steps over which gradient norms are measured."""
MAX_MAP_TOKENS = 200
"""Tokens of a text for which the dependence of every loss on every state is shown."""
MAX_MAP_OPERATIONS = 60e9
"""Multiplications and additions of such a map, in float64: about three seconds of one core."""
MAX_GATE_TOKENS = 1000
"""Tokens of a text whose gates and states are shown."""
MAX_GATE_NUMBERS = 2**22
"""Numbers in all signals of one layer over such a text: 16 MB."""
MAX_TRACE_NUMBERS = 2**28
"""Numbers in all signals over a text that the command line writes one of: 1 GB."""
MAX_INPUT_SCALE = 1000
"""Factor on the random input of cells at birth."""
MAX_SEED = 2**31
"""Seeds are below it."""
MAX_CARDS = 4
"""Architectures that one comparison trains at once."""
MAX_SEEDS = 5
"""Repetitions of one card with other seeds."""
MAX_ACTIVE_RUNS = 12
"""Runs of one person that train or wait at the same time."""
MAX_ACTIVE_TASK_RUNS = 25
"""Runs on memory tasks of one person that train or wait at the same time: five cells at five lags."""
MAX_STEPS = 1_000_000
"""Updates of one run."""
MAX_PARAMETERS = 20_000_000
"""Trainable numbers of a model."""
MAX_ACTIVATIONS = 80_000_000
"""Numbers that one update keeps for its backward pass, estimated: 320 MB."""
MAX_STATES_BYTES = 1_000_000_000
"""Bytes of one run's states of training for forks, estimated; a larger model keeps the newest alone."""
MAX_STEP_OPERATIONS = 60e9
"""Multiplications and additions in one update, about a second of one core: a longer one holds up every other run."""
