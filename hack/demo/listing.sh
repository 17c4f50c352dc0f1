#!/bin/bash
# List everything below a directory, the directory itself included, in a form that does not depend on where it lies.
#   listing.sh DIRECTORY
# Inode numbers differ between a volume and its copy, so hard links are shown as the number of their group.
set -eu -o pipefail
export LC_ALL=C TZ=UTC
cd "$1"

all() { find . "$@" -print0 | sort -z; }

echo '== entries: mode, owner, mtime, links, group of hard links, size, device, name and target'
all | xargs -0 stat --printf '%A\t%u:%g\t%.9Y\t%h\t%i\t%s\t%t:%T\t%N\n' | awk -F '\t' -v OFS='\t' '
    /^d/ { $6 = "-" }
    { group = "-" }
    !/^d/ && $4 > 1 { if (!($5 in groups)) groups[$5] = ++count; group = groups[$5] }
    { $5 = group; print }'

echo '== contents: sha256, name'
all -type f | xargs -0 -r sha256sum | cat -v

echo '== attributes: extended attributes in hexadecimal'
all | xargs -0 getfattr --no-dereference --dump --match=- --encoding=hex

echo '== allocated: bytes on disk, size, name of files over 64 KiB'
all -type f -size +64k | xargs -0 -r stat --printf '%b\t%B\t%s\t%N\n' | awk -F '\t' -v OFS='\t' '{ print $1 * $2, $3, $4 }'

echo '== end'
