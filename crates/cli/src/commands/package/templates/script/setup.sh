#!/bin/sh
# What this prints, and its exit code, come back in the receipt of every machine.
set -eu
echo "$CONSIGN_VAR_GREETING from $(uname -n)"
