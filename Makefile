# An index of scripts/: each target runs the script of its name.
.DEFAULT_GOAL := help
.PHONY: help setup demo run check test docs lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

setup: ## system packages, virtual environment, native build, models
demo: ## a whole call with a simulated caller, in the terminal
run: ## the service in the foreground
check: ## lint, format, types, C warnings
test: ## check, then all tests
docs: ## write what is made from the code
lock: ## solve the requirements anew
setup demo run check test docs lock:
	@scripts/$@

clean: ## remove everything that scripts/setup and a run left here
	rm -rf .venv build dist var native/build voiceedge/audio/_native.*
