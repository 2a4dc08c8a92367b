"""Runs a program and says last, on standard error, how much memory it had resident at its peak, in KiB."""

import resource
import subprocess
import sys

code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
