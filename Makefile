# make run: the app.   make test: every check and test.   Both set up what they need.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.PHONY: run test lint samples catalogue

run: .venv/run.stamp
	$(BIN)/streamlit run app.py --server.port $(PORT)

# Browser tests wait for the screen: more than two processes of them would wait for each other.
test: .venv/test.stamp .venv/browser.stamp lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not browser" --numprocesses auto --maxprocesses 4
	OMP_NUM_THREADS=1 $(BIN)/pytest -m browser --numprocesses 2 --dist worksteal

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy lmviz
	$(BIN)/lint-imports

samples: .venv/run.stamp
	$(BIN)/python -m lmviz.samples

catalogue: .venv/run.stamp
	$(BIN)/python -m lmviz.ui.catalogue update

# Debian's Python comes without ensurepip; the package python3-venv brings it.
.venv/bin/pip:
	$(PYTHON) -m venv .venv || { rm -rf .venv; apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }

.venv/run.stamp: requirements.txt pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/test.stamp: requirements.txt pyproject.toml .venv/run.stamp
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# The browser tests drive the system's Chromium; the fonts make Chinese show.
.venv/browser.stamp: | .venv/bin/pip
	[ -n "$$CHROMIUM" ] || command -v chromium google-chrome >/dev/null || { apt-get update && apt-get install -y chromium fonts-noto-cjk; }
	touch $@
