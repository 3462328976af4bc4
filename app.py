"""The web demo: `python app.py`, then open the address it prints. Also what a Hugging Face Space runs."""

import os

from web_demo import build_app, launch

if __name__ == "__main__":
    # Engine settings for every run, separated by semicolons: KERNELFUSION_WEB_SET="finish.steps=10;seed=1"
    launch(build_app([item for item in os.environ.get("KERNELFUSION_WEB_SET", "").split(";") if item]))
