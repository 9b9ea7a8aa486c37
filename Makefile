# The commands of the project. Everything they make goes into .venv/ and build/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := functions shared deploy tests

# The tests start hundreds of processes: where Python may not keep what it has compiled, each would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test unit lint audit lock conformance torture torture-peers browser bench bench-cold bench-warm fmt clean

run: $(VENV)/installed ## sample models and all functions, at http://127.0.0.1:8080 (PORT changes it)
	@$(BIN)/python -m deploy train
	@exec $(BIN)/python -m deploy emulate

# What fails is asked once more, alone: beside others it may come late. Both are told.
ONCE_MORE := --last-failed --last-failed-no-failures none --exitfirst

# Two at a time where none of them keeps two cores busy, and three of the slow tests' files: much of their time they wait
# for processes that they have started.
test: $(VENV)/installed ## everything that CI checks
	$(MAKE) --jobs 2 --output-sync=target conformance lint audit browser unit
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile --no-loadscope-reorder || \
	$(BIN)/python -m pytest -m slow $(ONCE_MORE)
	$(BIN)/python -m tests.torture --length ci

unit: $(VENV)/installed ## what runs within a minute
	$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 8 --dist loadfile || \
	$(BIN)/python -m pytest -m "not slow" $(ONCE_MORE)

conformance: $(VENV)/installed ## real clients call the functions, each in an environment of its own
	$(BIN)/python -m tests.conformance

torture: $(VENV)/installed ## whatever could bring a function down, done to it, within ten minutes
	$(BIN)/python -m tests.torture

lint: $(VENV)/installed
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

audit: $(VENV)/installed ## what is known against the locked packages; says so where nobody can be asked
	$(BIN)/python -m deploy audit

bench: $(VENV)/installed ## what the README's figures are measured with
	$(BIN)/python -m tests.benchmarks

bench-cold: $(VENV)/installed ## cold starts beside the tutorial way, LitServe, BentoML and MLServer
	$(BIN)/python -m tests.benchmarks.cold

bench-warm: $(VENV)/installed ## loaded servers under load, beside the same others
	$(BIN)/python -m tests.benchmarks.warm

torture-peers: $(VENV)/installed ## the same beside LitServe, BentoML and a bare function: the table of SECURITY.md
	$(BIN)/python -m tests.torture.peers

fmt: $(VENV)/installed
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The browser tests drive Chromium. Debian's own is installed where it can be; elsewhere they skip and say so.
browser:
	@command -v chromium chromedriver >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver >/dev/null; \
	fi

clean: ## all but the environment
	rm -rf build

lock: $(VENV)/installed ## after a change of pins: the digests of all that they bring, for all platforms
	$(BIN)/python -m deploy lock

# pip checks every file against its digest. The first pip is the machine's own, and takes no digests from a constraints
# file. torch comes as the build for CPUs alone where pip's settings name a place that has it, else with its GPU libraries.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/installed: requirements.txt deploy/locks/development.txt
	$(PYTHON) -m venv $(VENV)
	sed -n '/^pip==/,/[^\\]$$/p' deploy/locks/development.txt >$(VENV)/pip.txt
	$(PIP) -r $(VENV)/pip.txt
	$(PIP) --no-deps -r deploy/locks/torch_cpu.txt 2>$(VENV)/torch_cpu.log || true
	$(PIP) -r requirements.txt -c deploy/locks/development.txt
	@touch $@
