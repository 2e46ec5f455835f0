"""The command line: all that the pages do, for scripts and for teachers who prepare a lesson.

One file a subject; each adds its commands to `app` (common.py). Torch is imported inside the commands, so that help and
mistakes come at once.
"""

from lmviz.cli import corpora, looking, runs, training, writing
from lmviz.cli.common import app

__all__ = ["app", "corpora", "looking", "runs", "training", "writing"]
