"""A real server whose searches only sleep: python puppet_service.py FOLDER PORT [ROOT_PATH]. For tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Puppets

from search.service.app import create_app, serve
from search.service.settings import Settings

if __name__ == "__main__":
    root = sys.argv[3] if len(sys.argv) > 3 else ""
    settings = Settings(
        Path(sys.argv[1]), port=int(sys.argv[2]), root_path=root, requests_per_s=10_000, burst=10_000, cancel_s=0.0
    )
    serve(create_app(settings, launcher_of=Puppets()), settings)
