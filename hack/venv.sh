#!/bin/sh
# Make the developer's Python environment outside the tree, once per content of the locked requirements.
# Prints nothing when it is there already. The environment's name is stable so that editors can point at it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${ARK_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ark-backup}
venv=${1:-$cache/venv}
python=${PYTHON:-python3}
want="$("$python" --version) $(sha256sum "$root/requirements/dev.txt" | cut -c1-64)"

if [ -f "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$want" ]; then
    exit 0
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "ark: Python 3.11 or newer is needed, this is $("$python" --version); set PYTHON=" >&2
    exit 1
}
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
if [ -f "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$want" ]; then
    exit 0
fi
echo "ark: installing locked Python packages into $venv" >&2
rm -rf "$venv"
"$python" -m venv "$venv" || {
    echo "ark: python3 -m venv failed; on Debian: apt-get install python3-venv" >&2
    exit 1
}
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$root/requirements/dev.txt"
printf '%s' "$want" >"$venv/.complete"
