"""Figures from plain arrays and labels: plotly and numpy only, no Streamlit, no torch."""
