# An index of scripts/: each target runs the script of its name.
.DEFAULT_GOAL := help
.PHONY: help setup demo run check test docs lock fuzz bench-calls bench-context bench-detection bench-load bench-media bench-native bench-speech bench-voices clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## system packages, virtual environment, native build, models
demo: ## a whole call with a simulated caller, in the terminal
run: ## the service in the foreground
check: ## lint, format, types, C warnings
test: ## check, then all tests
docs: ## write what is made from the code
lock: ## solve the requirements anew
fuzz: ## whatever a fuzzer thinks of, five minutes for each entry
bench-calls: ## what a caller waits for, in ms
bench-context: ## what an event's way to a subscriber takes, and that none is lost
bench-detection: ## how well voice, keys and tones are told on every kind of line
bench-load: ## what calls cost under load, beside other switches
bench-media: ## what the audio of calls costs, live and on 100 channels
bench-native: ## what a 20 ms frame costs in the native pipeline
bench-speech: ## how well speech is understood
bench-voices: ## how well the prompts' voices are
setup demo run check test docs lock fuzz bench-calls bench-context bench-detection bench-load bench-media bench-native bench-speech bench-voices:
	@scripts/$@

clean: ## remove everything that scripts/setup and a run left here
	rm -rf .venv build dist var native/build voiceedge/audio/_native.*
