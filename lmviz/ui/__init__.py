"""The pages' toolbox: the only part of lmviz that imports Streamlit and Plotly.

The imports below look idle and are not. Two people who open a cold server at the same moment run two scripts in two
threads, and plotly imports numpy and pandas late, from inside its functions: one thread then sees the other's half
imported pandas. Importing them here, before anything else of the interface, makes that impossible.
"""

import numpy  # noqa: F401
import pandas  # noqa: F401
import plotly.graph_objects
import plotly.io

plotly.graph_objects.Figure(plotly.graph_objects.Scatter()).to_plotly_json()
plotly.io.templates  # noqa: B018 - reading the attribute is what imports it
