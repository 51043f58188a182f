# make demo: fine-tune on a shipped sample and open its report.   make test: everything CI checks.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow test-gpu benchmark-data samples clean

$(STAMP): pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --upgrade "pip>=25.1"
	$(PYTHON) -m pip install --quiet --editable . --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(PYTHON) scripts/demo.py

test: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --dist loadfile -m "not slow and not benchmark_data and not gpu"

test-slow: $(STAMP)
	$(PYTHON) -m pytest -m "slow and not benchmark_data and not gpu"

# Needs a CUDA device of compute capability 8 or higher.
test-gpu: $(STAMP)
	$(PYTHON) -m pytest -m gpu

# Needs the public benchmark files in the folder that KAGAKU_DATA names.
benchmark-data: $(STAMP)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --dist load -m "benchmark_data and not slow"

samples: $(STAMP)
	$(PYTHON) scripts/build_samples.py

clean:
	rm -rf build dist demo $(VENV)
