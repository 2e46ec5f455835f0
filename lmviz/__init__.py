"""lmviz: train small language models live and look inside them.

The package knows nothing of Streamlit or Plotly outside `lmviz.ui`. `config`, `runs` and `jobs` do not import torch,
so that a web server can use them and stay light.
"""

__version__ = "0.1.0"
