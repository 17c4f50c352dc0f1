#!/bin/bash
# Damage one thing below a directory, or put it right again, so that a comparison can be seen to notice.
#   damage.sh do|undo KIND DIRECTORY
set -eu
verb=$1
kind=$2
cd "$3"
saved=${TMPDIR:-/tmp}/demo-damage-$kind

case "$verb $kind" in
'do content')
    cp -a contents/random "$saved"
    printf 'X' | dd of=contents/random bs=1 seek=1234567 conv=notrunc status=none
    touch -r "$saved" contents/random
    ;;
'undo content')
    cat "$saved" >contents/random
    touch -r "$saved" contents/random
    ;;
'do owner') chown 4321 contents/repetitive ;;
'undo owner') chown 0 contents/repetitive ;;
'do mode') chmod 0640 contents/repetitive ;;
'undo mode') chmod 0644 contents/repetitive ;;
'do mtime')
    touch -r contents/repetitive "$saved"
    touch -d "$(stat -c '@%Y' contents/repetitive)" contents/repetitive
    ;;
'undo mtime') touch -r "$saved" contents/repetitive ;;
'do hole')
    cp -a --sparse=always contents/sparse "$saved"
    cp --sparse=never "$saved" contents/sparse
    touch -r "$saved" contents/sparse
    ;;
'undo hole')
    cp --sparse=always "$saved" contents/sparse
    touch -r "$saved" contents/sparse
    ;;
'do hardlink')
    touch -r links "$saved"
    cp -a links/second links/copy
    mv links/copy links/second
    touch -r "$saved" links
    ;;
'undo hardlink')
    ln -f links/first links/second
    touch -r "$saved" links
    ;;
'do xattr') setfattr -n user.colour -v grey attributes/file ;;
'undo xattr') setfattr -n user.colour -v blue attributes/file ;;
'do root') chmod 0777 . ;;
'undo root') chmod 2750 . ;;
*)
    echo "damage.sh: unknown: $verb $kind" >&2
    exit 64
    ;;
esac
