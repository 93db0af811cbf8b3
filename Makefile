# The tools of a virtual environment that `make install` makes; BIN= uses another one's.
BIN ?= .venv/bin
PYTHON ?= python3
# on Linux without a screen, windows open on a virtual one
DISPLAYED := $(if $(and $(filter Linux,$(shell uname -s)),$(if $(DISPLAY)$(WAYLAND_DISPLAY),,none)),xvfb-run -a -s "-screen 0 1400x900x24")

PLAY_MINUTES ?= 60
PLAY_SEED ?= 1

.PHONY: install check format docs test test-full lowest play demo picture pictures bench train

install:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[all,test,dev]'
	# the oracle of the automatic masks; torchvision, which it asks for, has stand-ins in the tests
	$(BIN)/python -m pip install --no-deps segment-anything-py==1.0.1

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml
	$(MAKE) docs

# the documentation site, without the internet; a broken link fails
docs:
	rm -rf build/docs
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees -b html docs build/docs

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# on Linux each of the two processes opens its windows on a virtual screen of its own
test:
	$(BIN)/python -m pytest $(if $(filter Linux,$(shell uname -s)),-n 2)

# what takes minutes each, and CI leaves out
test-full:
	$(DISPLAYED) $(BIN)/python -m pytest -m full

# which tests .ci/run runs on the lowest versions, in the .venv-lowest that it leaves
lowest:
	mkdir -p build
	.venv-lowest/bin/python -m pip install pytest-cov
	COVERAGE_FILE=build/lowest.coverage $(DISPLAYED) .venv-lowest/bin/python -m pytest -m "not slow and not full" \
	  --cov=napari_samv1 --cov-context=test --cov-report= --junitxml=build/lowest.xml \
	  tests/layers tests/widgets tests/storage tests/images tests/masks tests/records
	.venv-lowest/bin/python scripts/lowest_tests.py build/lowest.coverage build/lowest.xml > build/lowest.txt
	mv build/lowest.txt tests/lowest.txt

# other games from PLAY_SEED on, each seed shrunk to the fewest steps where it fails
play:
	PLAY_MINUTES=$(PLAY_MINUTES) PLAY_SEED=$(PLAY_SEED) $(DISPLAYED) $(BIN)/python -m pytest \
	  tests/play tests/widgets/test_play.py -s -x -o faulthandler_timeout=0

demo:
	$(BIN)/napari-samv1

picture:
	$(DISPLAYED) $(BIN)/python scripts/readme_animation.py

# all pictures of the documentation
pictures: picture
	$(DISPLAYED) $(BIN)/python scripts/readme_picture.py
	$(DISPLAYED) $(BIN)/python scripts/tutorial_pictures.py
	$(DISPLAYED) $(BIN)/python scripts/inspect_pictures.py

bench:
	$(DISPLAYED) $(BIN)/python -m benchmarks

train:
	$(BIN)/napari-samv1 train
