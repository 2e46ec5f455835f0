"""The entry: `streamlit run app.py`. The menu is lmviz.ui.shell.PAGES; each page is a file in pages/."""

from lmviz.ui import shell

shell.navigation().run()
