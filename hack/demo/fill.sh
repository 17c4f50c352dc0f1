#!/bin/bash
# The application: fill an EMPTY directory with what is hard to restore; anything that is there already stays.
#   fill.sh DIRECTORY SMALL_FILES
set -eu
root=$1
small_files=$2
if [ -n "$(ls -A "$root")" ]; then
    echo "$root holds data: kept"
    exit 0
fi
cd "$root"
umask 022

# In a user namespace with one user (the demo without root) there are no other owners.
: >probe
if chown 1000:1000 probe 2>/dev/null; then
    own() { chown "$@"; }
else
    own() { :; }
fi
rm probe

mkdir names
i=0
for name in 'with space' $'new\nline' $'tab\tinside' '-dash' '--help' 'quote"and'\''tick' 'back\slash' '*glob?[x]' \
    '$(true)' '.hidden' ' leading and trailing ' 'ünïcödé' '日本語' $'not-utf8-\xff\xfe' "$(printf 'x%.0s' {1..255})"; do
    i=$((i + 1))
    printf 'odd name %s\n' "$i" >"names/$name"
done

mkdir owners
for owner in 0:0 1000:1000 65534:65534 0:4242 4000000:4000001; do
    printf '%s\n' "$owner" >"owners/${owner/:/-}"
    own "$owner" "owners/${owner/:/-}"
done

mkdir modes
for mode in 0000 0400 0600 0644 0755 4755 2755 6711; do
    printf '%s\n' "$mode" >"modes/file-$mode"
    chmod "$mode" "modes/file-$mode"
done
for mode in 0700 0755 1777 2770; do
    mkdir "modes/directory-$mode"
    chmod "$mode" "modes/directory-$mode"
done
mkdir modes/empty

mkdir -p links/directory
printf 'one file, three names\n' >links/first
ln links/first links/second
ln links/first links/directory/third
ln -s first links/relative
ln -s /etc/hostname links/absolute
ln -s nowhere/at/all links/dangling
ln -s directory links/to-directory
ln -s $'target\nwith newline' links/odd-target
own -h 1000:1001 links/relative
touch -h -d '2002-02-02 02:02:02.222222222' links/dangling
mkfifo -m 0620 links/fifo

mkdir attributes
printf 'blue\n' >attributes/file
setfattr -n user.colour -v blue attributes/file
setfattr -n user.binary -v 0x00ff0a0d00 attributes/file
setfattr -n user.empty attributes/file
printf '\x7fELF\n' >attributes/capable
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 attributes/capable
mkdir attributes/directory
setfattr -n user.on-a-directory -v yes attributes/directory

mkdir contents
: >contents/empty
head -c 5000000 /dev/urandom >contents/random
head -c 100000 /dev/zero | tr '\0' 'a' >contents/repetitive
truncate -s 48M contents/sparse
printf 'an island' | dd of=contents/sparse bs=1 seek=20000000 conv=notrunc status=none
truncate -s 8M contents/only-a-hole

mkdir times
for time in '1965-03-04 05:06:07.123456789' '1999-12-31 23:59:59.999999999' '2040-01-01 00:00:00.000000001'; do
    printf '%s\n' "$time" >"times/${time%% *}"
    touch -d "$time" "times/${time%% *}"
done

deep=deep
for ((i = 0; i < 40; i++)); do deep=$deep/level-$i; done
mkdir -p "$deep"
printf 'bottom\n' >"$deep/bottom"

mkdir small
for ((i = 0; i < small_files; i++)); do
    directory=small/$((i % 20))
    [ -d "$directory" ] || mkdir "$directory"
    printf 'small file %s of %s\n' "$i" "$small_files" >"$directory/file-$i"
done
own -R 1000:1000 small/0 small/1

touch -d '2003-03-03 03:03:03.333333333' modes/directory-0700 small/2 attributes/directory
setfattr -n user.on-the-root -v yes .
own 1234:2345 .
chmod 2750 .
touch -d '2001-02-03 04:05:06.789012345' .
echo "$root filled: $(find . | wc -l) entries"
