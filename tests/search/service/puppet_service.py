"""A real server whose searches only sleep: python puppet_service.py FOLDER PORT. For tests of faults and of load."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Puppets

from search.service.app import create_app, serve
from search.service.settings import Settings

if __name__ == "__main__":
    settings = Settings(Path(sys.argv[1]), port=int(sys.argv[2]), requests_per_s=10_000, burst=10_000, cancel_s=0.0)
    serve(create_app(settings, launcher_of=Puppets()), settings)
