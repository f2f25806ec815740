"""``python -m fedaffect`` is the command ``fedaffect``."""

from fedaffect.cli import main

main()
