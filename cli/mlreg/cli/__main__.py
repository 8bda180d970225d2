"""`python -m mlreg.cli`: how the supervisor starts its roles, whatever the script is called."""

from mlreg.cli.app import main

main()
